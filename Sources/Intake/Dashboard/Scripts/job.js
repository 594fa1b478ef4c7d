// One job: its state, why it waits, its attempts and votes; cancel and retry.

import { get, listen, post, repeat } from "./api.js";
import { byID, element, jobLink, keyLink, keyPath, pageName, reconcile, row, say, set, show } from "./dom.js";
import { eventName, span, votes, worker } from "./events.js";
import { count, duration, micros, moment } from "./format.js";
import { badge } from "./jobs.js";
import { Model } from "./model.js";
import { describe } from "./pan.js";
import { Plot } from "./plot.js";
import { act, explain, liveness } from "./shell.js";

const id = pageName() ?? "";
const path = `/v1/jobs/${encodeURIComponent(id)}`;
const finished = ["succeeded", "failed", "cancelled"];
const model = new Model();
const attemptOf = (item) => item.since !== undefined ? "in line" : `attempt ${item.attempt ?? "–"}`;
const plot = new Plot(byID("attempts-plot"), model, { rowOf: attemptOf });
describe(plot, byID("detail"));
document.title = `Job ${id} · Holdfast`;
say(byID("title"), `Job ${id}`);

let hasClock = false;

/** What runs is drawn up to the database's now. */
async function readClock() {
    const asked = Date.now();
    const span = new URLSearchParams({ since: new Date(asked - 1000).toISOString(),
        until: new Date(asked).toISOString(), limit: "1" });
    model.setClock((await get(`/v1/waits?${span}`)).now, asked, Date.now());
    hasClock = true;
}

let isMissing = false;

async function load() {
    if (isMissing) return;
    if (!hasClock) await readClock();
    const job = await get(path).catch((error) => {
        if (error.status !== 404 && error.status !== 400) throw error;
        isMissing = true;
        say(show(byID("missing"), true), `${explain(error)}.`);
    });
    if (isMissing) return;
    const [timeline, why, { workers }] = await Promise.all([get(`${path}/timeline`), get(`${path}/why`),
        get("/v1/workers")]);
    for (const { id, name } of workers) model.workers.set(id, name);
    show(byID("whole"), true);
    showState(job);
    showCauses(job, why.causes);
    showFacts(job);
    showAttempts(timeline.attempts);
    showEvents(timeline.events);
    showPlot(job, timeline);
}

function showState(job) {
    set(say(byID("state"), job.state), { class: `badge ${job.state}` });
    const isFinished = finished.includes(job.state);
    show(byID("cancel"), !isFinished);
    show(byID("retry"), isFinished);
    const progress = byID("progress");
    show(progress, job.progress !== undefined);
    if (job.progress !== undefined) {
        progress.value = job.progress;
        set(progress, { "aria-label": job.progressNote ?? "Progress", title: job.progressNote });
    }
    show(byID("error"), job.error !== undefined && job.state !== "succeeded");
    say(byID("error-title"), { failed: "Why it failed", cancelled: "Why it was cancelled" }[job.state]
        ?? "Why its last attempt did not succeed");
    say(byID("error-text"), job.error);
}

function showCauses(job, causes) {
    const waits = !finished.includes(job.state) && !causes.some((cause) => cause.cause === "running");
    show(byID("why"), waits);
    if (!waits) return;
    reconcile(byID("causes"), causes, (cause) => `${cause.cause} ${cause.detail} ${cause.until}`, (cause) =>
        element("li", {}, element("span", { class: "badge" }, cause.cause), " ", cause.detail,
            cause.job ? [" (", jobLink(cause.job), ")"] : null,
            cause.since ? [", since ", moment(cause.since)] : null,
            cause.until ? [", until ", moment(cause.until)] : null));
}

function showFacts(job) {
    const facts = [
        ["Key", keyLink(job.key)], ["Kind", job.kind], ["Queue", job.queue], ["Priority", job.priority],
        ["Attempt", `${count(job.attempt)} of ${count(job.maxAttempts)}`], ["Fence", job.fence ?? "–"],
        ["Submitted", moment(job.submittedAt)], ["Runs from", job.runAt ? moment(job.runAt) : null],
        ["Started", moment(job.startedAt)], ["Finished", moment(job.finishedAt)],
        ["Declared to take", duration(job.durationMs)], ["Lock's time to live", duration(job.lockTtlMs)],
        ["An attempt may take", job.timeoutMs === undefined ? null : duration(job.timeoutMs)],
        ["Trace", job.traceparent ? element("code", {}, job.traceparent) : null],
    ].filter(([, value]) => value !== null);
    byID("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name),
        element("dd", {}, value)]));
    say(byID("value"), job.value);
    show(byID("metadata"), job.metadata !== undefined);
    if (job.metadata !== undefined) say(byID("metadata-text"), JSON.stringify(job.metadata, null, 2));
}

function showAttempts(attempts) {
    reconcile(byID("attempts"), attempts, (attempt) => `${attempt.fence} ${attempt.outcome}`, (attempt) =>
        row(byID("attempts"),
            attempt.attempt,
            worker(attempt.worker, model.workers),
            attempt.fence ?? "–",
            moment(attempt.startedAt),
            attempt.endedAt ? duration(Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt)) : "–",
            badge(attempt.outcome ?? "running"),
            attempt.reason ?? ""));
}

function showEvents(events) {
    reconcile(byID("events"), events, (event) => event.id, (event) =>
        row(byID("events"),
            moment(event.at),
            eventName(event),
            event.attempt ?? "–",
            worker(event.worker, model.workers),
            event.fence ?? "–",
            votes(event.votes),
            event.validityUs === undefined ? "–" : micros(event.validityUs),
            event.reason ?? span(event)));
}

/** All of its life, from its submission to its end or to now. */
function showPlot(job, timeline) {
    for (const event of timeline.events) model.add(event);
    model.addWait({ job: job.id, key: job.key, since: later(job.submittedAt, job.runAt), startedAt: job.startedAt,
        finishedAt: job.finishedAt });
    const now = model.now();
    const start = Date.parse(job.submittedAt);
    const end = finished.includes(job.state) ? Date.parse(job.finishedAt) : now;
    // Of a job that was over at once, enough to see it by.
    const length = Math.max(500, end - start);
    plot.span = length * 1.1;
    plot.end = start + length * 1.05;
    plot.change();
    show(byID("attempts-plot"), timeline.events.length > 0);
}

const later = (first, second) => second && second > first ? second : first;

byID("cancel").addEventListener("click", () => order("cancel", `Job ${id} is to be cancelled`));
byID("retry").addEventListener("click", () => order("retry", `Job ${id} runs again`));

async function order(name, done) {
    await act(byID(name), () => post(`${path}/${name}`), done);
    refresh();
}

const refresh = repeat(load, 2_000, liveness("job"));
listen(`/v1/events?job=${encodeURIComponent(id)}`, () => refresh(), liveness("events"));
