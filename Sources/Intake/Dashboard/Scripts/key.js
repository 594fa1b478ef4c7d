// One key: its value, who holds it, its line, its jobs and its history.

import { get, repeat } from "./api.js";
import { address, byID, element, jobLink, pageName, reconcile, row, say, set, show } from "./dom.js";
import { eventCells, worker } from "./events.js";
import { Feed } from "./feed.js";
import { count, duration, moment } from "./format.js";
import { jobTable } from "./jobs.js";
import { Model } from "./model.js";
import { describe, movable } from "./pan.js";
import { Plot } from "./plot.js";
import { explain, liveness } from "./shell.js";

const name = pageName();
const key = name ?? "";
const path = `/v1/keys/${encodeURIComponent(key)}`;
document.title = `${key} · Holdfast`;
say(byID("title"), key);
byID("timeline-link").href = address(`/timeline?${new URLSearchParams({ keys: key })}`);

const model = new Model();
const plot = new Plot(byID("timeline"), model, { mostRows: 1 });
const feed = new Feed(model, { key, onChange: () => plot.change(), liveness });
movable(plot, () => feed.load(plot.range.start, plot.range.end));
describe(plot, byID("detail"));

const jobs = jobTable("Jobs of this key", ["job", "state", "attempt", "submitted", "error"]);
byID("jobs").append(jobs.table);

let hasNames = false;

/** Once, before anything that names a worker is shown; the feed reads them from then on. */
async function readNames() {
    for (const { id, name } of (await get("/v1/workers")).workers) model.workers.set(id, name);
    hasNames = true;
}

async function load() {
    if (!hasNames) await readNames();
    const [shown, list] = await Promise.all([get(path), get(`/v1/jobs?limit=10&key=${encodeURIComponent(key)}`)]);
    const { line } = shown;
    say(byID("value"), shown.value ?? "It has none.");
    set(byID("value"), { class: shown.value === undefined ? "none" : null });
    const isFenced = shown.highestFence !== undefined;
    say(byID("fence"), isFenced ? count(shown.highestFence) : "none");
    say(byID("fence-note"), isFenced ? "that has written the value" : "no job has written a value");
    say(byID("length"), line.length >= 100_000 ? "100,000 or more" : count(line.length));
    byID("line-note").replaceChildren(...(line.foreignHolderSince ? ["another holds its lock since ",
        moment(line.foreignHolderSince)]
        : line.head ? ["job ", jobLink(line.head), " is first"] : ["no job is unfinished"]));
    const { holder } = line;
    byID("holder").replaceChildren(...(holder ? ["job ", jobLink(holder.job)] : ["nobody"]));
    const held = holder ? duration(model.now() - Date.parse(holder.since)) : "";
    say(byID("holder-since"), holder
        ? `${worker(holder.worker, model.workers)}, for ${held}, fence ${holder.fence}` : "none of the jobs here");
    jobs.show(list.jobs);
    await loadEvents();
}

let events = [];
let next = null;

async function loadEvents() {
    const page = await get(`${path}/history?limit=30`);
    const known = new Set(events.map((event) => event.id));
    const isJoined = page.events.some((event) => known.has(event.id));
    if (!isJoined) ({ next = null } = page);
    events = isJoined ? [...page.events.filter((event) => !known.has(event.id)), ...events] : page.events;
    showEvents();
}

async function loadEarlier() {
    const page = await get(`${path}/history?limit=30&cursor=${encodeURIComponent(next)}`);
    events = [...events, ...page.events];
    next = page.next ?? null;
    showEvents();
}

function showEvents() {
    show(byID("more"), next !== null);
    reconcile(byID("events"), events, (event) => event.id, (event) =>
        row(byID("events"), moment(event.at), ...eventCells(event, model.workers)));
}

byID("more").addEventListener("click", () => loadEarlier().catch(liveness("earlier")));

if (name === null) say(show(byID("missing"), true), "The address of this page is not that of a key.");
else repeat(async () => {
    try {
        await load();
    } catch (error) {
        if (error.status !== 400) throw error;
        say(show(byID("missing"), true), `${explain(error)}.`);
    }
}, 1_000, liveness("key"));
feed.start(plot.span);
