// The token that the reader has entered. It is this tab's alone, and is sent to this intake and nowhere else.

import { byID, say, show } from "./dom.js";

const place = "holdfast.token";
let asking = null;
let hasDeclined = false;

export const token = () => sessionStorage.getItem(place);

/** What the button of every page does: forgets the token, or asks for one. */
export async function changeToken() {
    if (token() !== null) sessionStorage.removeItem(place);
    else if (!(await askForToken("This intake lets in who has a token.", true))) return;
    location.reload();
}

/**
 * Asks for a token, once for all who need one; resolves to whether there is one now.
 *
 * Who has said "not now" is asked again only when they want to do something (`isWanted`).
 */
export function askForToken(reason, isWanted) {
    if (asking) return asking;
    if (hasDeclined && !isWanted) return Promise.resolve(false);
    const dialog = byID("token-dialog");
    const input = byID("token");
    say(byID("token-reason"), reason);
    asking = new Promise((resolve) => {
        const answer = (text) => {
            if (text) sessionStorage.setItem(place, text);
            hasDeclined = !text;
            input.value = "";
            asking = null;
            dialog.close();
            showButton();
            resolve(Boolean(text));
        };
        dialog.querySelector("form").onsubmit = (event) => {
            event.preventDefault();
            answer(input.value.trim());
        };
        byID("token-cancel").onclick = () => answer("");
        dialog.oncancel = () => answer("");
    });
    dialog.showModal();
    return asking;
}

/** The button is there while there is a token, or one is needed. */
export function showButton() {
    say(show(byID("token-button"), token() !== null || hasDeclined), token() === null ? "Enter token" : "Forget token");
}
