// What the tables of events have in common.

import { element, jobLink } from "./dom.js";
import { micros } from "./format.js";

/** Each node's answer, as a row of signs: their shapes differ, not their colours only. */
export function votes(list) {
    if (!list?.length) return element("span", { class: "none" }, "–");
    const signs = { granted: "✓", held: "✕", unreachable: "–", late: "…", quarantined: "Q", stepped: "±", refused: "!" };
    return element("span", { class: "votes" }, list.map(({ node, verdict, us }) =>
        element("span", { class: `vote ${verdict}`, title: `${node}: ${verdict}, ${micros(us)}`, role: "img",
            "aria-label": `${node} ${verdict}` },
            signs[verdict] ?? "?")));
}

export const eventName = (event) =>
    element("span", { class: `event ${event.outcome === "failed" ? "failed" : event.event}` },
        event.event, event.outcome && event.outcome !== event.event ? element("small", {}, ` ${event.outcome}`) : null);

export const worker = (id, names) => id === undefined ? "–" : names?.get(id) ?? `worker no. ${id}`;

/** How long what an event tells of took: the acquisition, or the hold so far. */
export function span(event) {
    if (event.event === "acquired") return event.waitedUs === undefined ? "" : `took ${micros(event.waitedUs)}`;
    return event.heldUs === undefined ? "" : `held ${micros(event.heldUs)}`;
}

/** An event's cells: what happened, to which job, by whom, under which fence, with which votes, and why. */
export const eventCells = (event, names) => [
    eventName(event),
    event.job ? jobLink(event.job) : "–",
    worker(event.worker, names),
    event.fence ?? "–",
    votes(event.votes),
    event.reason ?? span(event),
];
