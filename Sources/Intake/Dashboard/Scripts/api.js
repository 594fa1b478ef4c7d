// Asks the API of this intake.

import { address } from "./dom.js";
import { askForToken, token } from "./token.js";

const patience = 20_000;
/** The API says something each 15 s. */
const silence = 40_000;

/** What the API said when it did not do as asked. */
export class Problem extends Error {
    constructor(status, detail) {
        super(detail);
        this.status = status;
    }
}

/** Nothing is heard of, because nobody looks at the page. */
export class Unseen extends Error {}

export const get = (path) => ask("GET", path, false);

/** Something that the reader wants done. */
export const post = (path) => ask("POST", path, true);

async function ask(method, path, isWanted) {
    const response = await admitted(method, path, isWanted, AbortSignal.timeout(patience));
    if (!response.ok) throw await problem(response);
    return parse(await response.text());
}

/** As JSON.parse, but for whole numbers of so many digits that JavaScript would round them: these become texts. */
const parse = (text) => JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, (part) =>
    /^-?\d{16,}$/.test(part) ? `"${part}"` : part));

/** Sends a request; with another token, as long as the reader enters one. */
async function admitted(method, path, isWanted, signal) {
    for (;;) {
        const used = token();
        const headers = used ? { Authorization: `Bearer ${used}` } : {};
        const response = await fetch(address(path), { method, headers, signal, cache: "no-store" });
        const isUnknown = response.status === 401;
        if (!isUnknown && !(response.status === 403 && isWanted)) return response;
        if (used !== token()) continue;  // It was entered meanwhile.
        const refusal = await problem(response);
        const reason = used ? `${capital(refusal.message)}.` : "This intake lets in who has a token.";
        if (!(await askForToken(reason, isWanted))) throw refusal;
        if (signal.aborted) signal = AbortSignal.timeout(patience);
    }
}

async function problem(response) {
    try {
        return new Problem(response.status, (await response.json()).detail);
    } catch {
        return new Problem(response.status, `the intake answered ${response.status}`);
    }
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * Does something again and again while the page is looked at: `interval` after it was done, and longer where it
 * takes long.
 *
 * @param turn - What to do.
 * @param onState - Told an error, or null when it went well.
 */
export function repeat(turn, interval, onState = () => {}) {
    let timer = null;
    let isRunning = false;
    const go = async () => {
        if (document.hidden || isRunning) return;
        isRunning = true;
        clearTimeout(timer);
        const start = performance.now();
        try {
            await turn();
            onState(null);
        } catch (error) {
            onState(error);
        }
        isRunning = false;
        timer = setTimeout(go, Math.max(interval, 4 * (performance.now() - start)));
    };
    document.addEventListener("visibilitychange", go);
    go();
    return go;
}

/** Waits until the page is looked at. */
async function untilSeen() {
    while (document.hidden) {
        await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
}

/**
 * Follows the events of the lock history while the page is looked at; connects again when the connection is lost.
 *
 * They are read by fetch, since an EventSource sends no token. A browser has six connections to a host for all of its
 * pages, those that were left and are kept to go back to included: a page that nobody looks at must hold none of them.
 *
 * @param path - With the filter.
 * @param onEvent - Told each event.
 * @param onState - Told an error when the connection is lost, {@link Unseen} when it was given up, and null when it is
 *   there.
 */
export async function listen(path, onEvent, onState) {
    let failures = 0;
    for (;;) {
        await untilSeen();
        const abort = new AbortController();
        const leave = () => document.hidden && abort.abort(new Unseen());
        document.addEventListener("visibilitychange", leave);
        try {
            const response = await admitted("GET", path, false, abort.signal);
            if (!response.ok) throw await problem(response);
            failures = 0;
            onState(null);
            for await (const event of frames(response.body, abort)) onEvent(event);
            throw new Problem(0, "the intake has ended the connection");
        } catch (error) {
            document.removeEventListener("visibilitychange", leave);
            const isUnseen = abort.signal.reason instanceof Unseen;
            onState(isUnseen ? abort.signal.reason : error);
            if (isUnseen) continue;
            failures += 1;
        }
        abort.abort();
        const most = Math.min(10_000, 500 * 2 ** failures);
        await new Promise((resolve) => setTimeout(resolve, most * (0.5 + Math.random() / 2)));
    }
}

async function* frames(body, abort) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
        const timer = setTimeout(() => abort.abort(), silence);
        const { value, done } = await reader.read();
        clearTimeout(timer);
        if (done) return;
        text += value;
        const parts = text.split("\n\n");
        text = parts.pop();
        for (const part of parts) {
            const data = part.split("\n").find((line) => line.startsWith("data: "));
            if (data) yield parse(data.slice(6));
        }
    }
}
