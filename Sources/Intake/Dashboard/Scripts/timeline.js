// The timeline of all keys.

import { byID, element, keyLink, keyPath, reconcile, row, say, set } from "./dom.js";
import { eventCells } from "./events.js";
import { Feed } from "./feed.js";
import { moment } from "./format.js";
import { showWorkers } from "./legend.js";
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
    if (plot.hidden) {
        const more = plural(plot.hidden, "more key");
        notes.push(`${more} had events in this time; choose a shorter one, or name a part of the key.`);
    }
    if (plot.range.start < feed.wholeSince) {
        notes.push("Of this time there are more events than are shown; choose a shorter one.");
    }
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
    showWorkers(plot, model);
}

onMove();
await feed.start(plot.span);
if (plot.end !== null) feed.load(plot.range.start, plot.range.end);
