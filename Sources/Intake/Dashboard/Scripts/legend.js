// What the colours and the signs of the timeline mean.

import { byID, drawing, element, reconcile, say } from "./dom.js";

/** The signs of the plot and what they mean; each is drawn as it is there. */
const signs = [
    ["Waits in line", waitSign("line")],
    ["Waits to run again", waitSign("again")],
    ["Kept out by another", drawing("g", { class: "wait foreign" },
        drawing("rect", { width: 28, height: 15, rx: 3, fill: "url(#hatch-timeline)" }))],
    ["Extended", holdSign("", 28, "extension", "M9 9v6M19 9v6")],
    ["Failed", holdSign("failed", 28, "cap", "M26 1v13")],
    ["Ran too long", holdSign("overrun", 28, "cap", "M26 1v13")],
    ["Lost", holdSign("lost", 22, "cap", "M18 3.5l8 8m0-8l-8 8")],
    ["Refused", markSign("refused", "M-4 0H4")],
    ["Put back", markSign("rescued", "M-4 0 0-4 4 0M0-4V5")],
];

function waitSign(kind) {
    return drawing("g", { class: `wait ${kind}` }, drawing("rect", { y: 5, width: 28, height: 5, rx: 2.5 }));
}

function holdSign(kind, width, part = null, path = null) {
    return drawing("g", { class: `hold ${kind}` },
        drawing("rect", { class: "bar", width, height: 15, rx: 4 }), drawing("path", { class: part, d: path }));
}

function markSign(kind, path) {
    return drawing("g", { class: `mark ${kind}`, transform: "translate(14 7.5)" }, drawing("circle", { r: 7 }),
        drawing("path", { d: path }));
}

const workerList = element("ul", { "aria-label": "Holds by worker" });
byID("legend").append(workerList, element("ul", { "aria-label": "Signs" }, signs.map(([text, sign]) =>
    element("li", {}, drawing("svg", { width: 28, height: 15, "aria-hidden": "true" }, sign), text))));

/** Shows the workers whose holds are shown, each in its colour. */
export function showWorkers(plot, model) {
    const ids = new Set(plot.shown.rows.flatMap((row) => row.workers));
    const list = [...ids].filter((id) => id !== undefined).sort((a, b) => a - b).slice(-12);
    reconcile(workerList, list, (id) => id, (id) =>
        element("li", {}, drawing("svg", { width: 28, height: 15, "aria-hidden": "true" },
            holdSign(`worker-${id % 8}`, 28)), element("span")),
    (node, id) => say(node.lastChild, model.workerName(id)));
}
