// What every page has: the mark of the page in the menu, whether it is live, notices, and the token.

import { capital, Problem, Unseen } from "./api.js";
import { byID, element, say, set } from "./dom.js";
import { changeToken, showButton } from "./token.js";

for (const link of document.querySelectorAll(".bar nav a")) {
    if (link.pathname === location.pathname) set(link, { "aria-current": "page" });
}
byID("token-button").addEventListener("click", changeToken);
showButton();

const errors = new Map();

/** Gives what tells how one source of what is shown does: an error, or null when all is well. It is live if all are. */
export const liveness = (source) => (error) => {
    if (error instanceof Unseen) return;
    if (error) errors.set(source, error);
    else errors.delete(source);
    const worst = errors.values().next().value ?? null;
    const sign = byID("live");
    set(sign, { "data-state": worst ? "away" : "live", title: worst ? explain(worst) : null });
    const names = { 401: "token needed", 403: "not allowed" };
    say(sign, worst ? names[worst.status] ?? "away" : "live");
};

/** An error in a reader's words. */
export function explain(error) {
    if (error instanceof Problem) return capital(error.message);
    if (error.name === "TimeoutError") return "The intake has not answered in time";
    if (error instanceof TypeError && /fetch|network/i.test(error.message)) return "The intake cannot be reached";
    return `This page has failed: ${error.message}`;
}

/** Tells the reader something for some seconds. */
export function notify(text, kind = "good") {
    const notice = element("p", { class: `notice ${kind}` }, text);
    byID("notices").append(notice);
    setTimeout(() => notice.remove(), kind === "bad" ? 12_000 : 5_000);
}

/** Does what a button is for, and says how it went; the button waits meanwhile. */
export async function act(button, task, done) {
    button.disabled = true;
    try {
        const result = await task();
        if (done) notify(done);
        return result;
    } catch (error) {
        notify(explain(error), "bad");
        return null;
    } finally {
        button.disabled = false;
    }
}
