// The timeline of all keys.

import { byID, drawing, element, keyLink, keyPath, reconcile, row, say, set } from "./dom.js";
import { eventCells } from "./events.js";
import { Feed } from "./feed.js";
import { moment } from "./format.js";
import { Model } from "./model.js";
import { describe, movable, spans } from "./pan.js";
import { Plot, plural } from "./plot.js";
import { liveness } from "./shell.js";

const model = new Model();
const plot = new Plot(byID("timeline"), model, { linkOf: keyPath, mostRows: 40, onDraw });
const feed = new Feed(model, { onChange: () => plot.change(), liveness });
const move = movable(plot, onMove);
const note = element("p", { class: "hint more" });
byID("timeline").append(note);
describe(plot, byID("detail"));

// What is shown is in the address, so that it can be sent to somebody.
const asked = new URLSearchParams(location.search);
if (spans.includes(Number(asked.get("span")) * 1000)) plot.span = Number(asked.get("span")) * 1000;
const end = Date.parse(asked.get("until") ?? "");
if (!Number.isNaN(end) && end < Date.now()) plot.end = end;
plot.filter = asked.get("keys") ?? "";
byID("filter").value = plot.filter;

const controls = byID("controls");
controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("click", (event) => {
    const steps = {
        back: () => move.by(-plot.span / 2, plot.now()),
        forward: () => move.by(plot.span / 2, plot.now()),
        live: () => move.to(plot.end === null ? plot.range.end : null),
    };
    steps[event.target.dataset?.do]?.();
});
byID("span").addEventListener("change", (event) => {
    plot.span = Number(event.target.value) * 1000;
    plot.draw();
    onMove();
});
byID("until").addEventListener("change", (event) => {
    const moment = new Date(event.target.value).getTime();
    if (Number.isNaN(moment)) return;
    move.to(moment >= plot.now() ? null : moment);
});
byID("filter").addEventListener("input", (event) => {
    plot.filter = event.target.value;
    plot.draw();
    remember();
});

/** Something else is looked at. */
function onMove() {
    say(byID("go-live"), "Live");
    set(byID("go-live"), { "aria-pressed": String(plot.end === null) });
    byID("span").value = String(plot.span / 1000);
    const until = new Date(plot.end ?? plot.now());
    byID("until").value = new Date(until - until.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    clearTimeout(remember.timer);
    remember.timer = setTimeout(() => {
        remember();
        const { start, end } = plot.range;
        feed.load(start, end);
    }, 250);
}

function remember() {
    const address = new URLSearchParams();
    if (plot.end !== null) address.set("until", new Date(plot.end).toISOString());
    if (plot.span !== 60_000) address.set("span", String(plot.span / 1000));
    if (plot.filter) address.set("keys", plot.filter);
    history.replaceState(null, "", address.size ? `?${address}` : location.pathname);
}

let listed = 0;

function onDraw() {
    const notes = [];
    if (plot.hidden) notes.push(`${plural(plot.hidden, "more key")} had events in this time; choose a shorter one, or name a part of the key.`);
    if (plot.range.start < feed.wholeSince) notes.push("Of this time there are more events than are shown; choose a shorter one.");
    say(note, notes.join(" "));
    if (performance.now() - listed < 500) return;
    listed = performance.now();
    const { start, end } = plot.range;
    const names = new Set(plot.shown.rows.map((row) => row.name));
    const events = [...model.events.values()].filter((event) =>
        event.moment >= start && event.moment <= end && names.has(event.key));
    events.sort((a, b) => b.moment - a.moment || b.id - a.id);
    reconcile(byID("events"), events.slice(0, 30), (event) => event.id, (event) =>
        row(byID("events"), moment(event.at), keyLink(event.key), ...eventCells(event, model.workers)));
    drawWorkers();
}

/** The signs of the plot and what they mean; each is drawn as it is there. */
const signs = [
    ["Waits in line", drawing("g", { class: "wait line" }, drawing("rect", { y: 5, width: 28, height: 5, rx: 2.5 }))],
    ["Waits to run again", drawing("g", { class: "wait again" }, drawing("rect", { y: 5, width: 28, height: 5, rx: 2.5 }))],
    ["Kept out by another", drawing("g", { class: "wait foreign" }, drawing("rect", { width: 28, height: 15, rx: 3, fill: "url(#hatch-timeline)" }))],
    ["Extended", drawing("g", { class: "hold plain" }, drawing("rect", { class: "bar", width: 28, height: 15, rx: 4 }), drawing("path", { class: "extension", d: "M9 9v6M19 9v6" }))],
    ["Failed", drawing("g", { class: "hold plain failed" }, drawing("rect", { class: "bar", width: 28, height: 15, rx: 4 }), drawing("path", { class: "cap", d: "M26 1v13" }))],
    ["Ran too long", drawing("g", { class: "hold plain overrun" }, drawing("rect", { class: "bar", width: 28, height: 15, rx: 4 }), drawing("path", { class: "cap", d: "M26 1v13" }))],
    ["Lost", drawing("g", { class: "hold plain lost" }, drawing("rect", { class: "bar", width: 22, height: 15, rx: 4 }), drawing("path", { class: "cap", d: "M18 3.5l8 8m0-8l-8 8" }))],
    ["Refused", markSign("refused", "M-4 0H4")],
    ["Put back", markSign("rescued", "M-4 0 0-4 4 0M0-4V5")],
];

function markSign(kind, path) {
    return drawing("g", { class: `mark ${kind}`, transform: "translate(14 7.5)" }, drawing("circle", { r: 7 }), drawing("path", { d: path }));
}

const workerList = element("ul", { "aria-label": "Holds by worker" });
byID("legend").append(workerList, element("ul", { "aria-label": "Signs" }, signs.map(([text, sign]) =>
    element("li", {}, drawing("svg", { width: 28, height: 15, "aria-hidden": "true" }, sign), text))));

function drawWorkers() {
    const ids = new Set(plot.shown.rows.flatMap((row) => row.holds.map(({ hold }) => hold.worker)));
    const list = [...ids].filter((id) => id !== undefined).sort((a, b) => a - b).slice(-12);
    reconcile(workerList, list, (id) => id, (id) =>
        element("li", {}, drawing("svg", { width: 28, height: 15, "aria-hidden": "true" },
            drawing("g", { class: `hold worker-${id % 8}` }, drawing("rect", { class: "bar", width: 28, height: 15, rx: 4 }))), element("span")),
    (node, id) => say(node.lastChild, model.workerName(id)));
}

onMove();
await feed.start(plot.span);
if (plot.end !== null) feed.load(plot.range.start, plot.range.end);
