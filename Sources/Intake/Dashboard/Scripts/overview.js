// What goes on: queues, lock nodes, workers, and the last minute.

import { get, post, repeat } from "./api.js";
import { byID, drawing, element, keyPath, reconcile, row, say, set, show } from "./dom.js";
import { Feed } from "./feed.js";
import { count, duration, micros, rate } from "./format.js";
import { Model } from "./model.js";
import { Plot, plural } from "./plot.js";
import { act, liveness } from "./shell.js";

/** Over how many whole steps of the throughput a rate is taken: a quarter of a minute. */
const rateSteps = 3;

const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
const figure = (name, text) => say(document.querySelector(`[data-figure="${name}"]`), text);

let throughput = { stepSeconds: 5, queues: [] };

async function showQueues() {
    const { queues } = await get("/v1/queues");
    const sums = { waiting: 0, scheduled: 0, running: 0, oldest: 0 };
    for (const queue of queues) {
        queue.waiting = Math.max(0, queue.depth - queue.scheduled - queue.running);
        sums.waiting += queue.waiting;
        sums.scheduled += queue.scheduled;
        sums.running += queue.running;
        if (!queue.paused) sums.oldest = Math.max(sums.oldest, queue.oldestWaitMs ?? 0);
    }
    figure("waiting", count(sums.waiting));
    figure("scheduled", sums.scheduled ? `and ${count(sums.scheduled)} scheduled` : "jobs in line");
    figure("running", count(sums.running));
    figure("oldest", sums.oldest > 50 ? duration(sums.oldest) : "none");
    reconcile(byID("queues"), queues, (queue) => queue.name, makeQueue, updateQueue);
}

function makeQueue(queue) {
    const button = element("button", { type: "button" });
    button.addEventListener("click", async () => {
        const order = button.dataset.order;
        const name = queue.name;
        await act(button, () => post(`/v1/queues/${encodeURIComponent(name)}/${order}`),
            `Queue ${name} is ${order === "pause" ? "paused" : "resumed"}`);
        await showQueues();
    });
    const name = [element("span", { class: "name" }, queue.name), element("span", { class: "badge" })];
    return row(byID("queues"), name, ...Array(6).fill(""), button);
}

function updateQueue(node, queue) {
    const [name, waiting, running, scheduled, oldest, perSecond, failed, action] = node.children;
    const finished = throughput.queues.find((item) => item.queue === queue.name);
    const badge = name.lastChild;
    set(show(badge, queue.paused), { class: "badge paused" });
    say(badge, "paused");
    say(waiting, count(queue.waiting) + (queue.jobLimit ? ` of ${count(queue.jobLimit)}` : ""));
    say(running, count(queue.running));
    say(scheduled, count(queue.scheduled));
    say(oldest, queue.oldestWaitMs > 50 ? duration(queue.oldestWaitMs) : "–");
    say(perSecond, finished ? rate(ratesOf(finished).now) : "0");
    say(failed, finished ? count(total(finished.failed)) : "0");
    set(failed, { class: `number${finished && total(finished.failed) ? " bad" : ""}` });
    const button = action.firstChild;
    const order = queue.paused ? "resume" : "pause";
    set(button, { "data-order": order, "aria-label": `${queue.paused ? "Resume" : "Pause"} queue ${queue.name}` });
    say(button, queue.paused ? "Resume" : "Pause");
}

/** Jobs a second in each step, and over the last whole steps. */
function ratesOf(queue) {
    const steps = queue.succeeded.map((jobs, index) => jobs + queue.failed[index] + queue.cancelled[index]);
    const recent = steps.slice(-1 - rateSteps, -1);
    return { steps, now: total(recent) / (recent.length * throughput.stepSeconds) };
}

async function showThroughput() {
    throughput = await get("/v1/throughput");
    const all = throughput.queues.map(ratesOf);
    const steps = Array.from({ length: 60 }, (_, index) => total(all.map((queue) => queue.steps[index])));
    const bad = Array.from({ length: 60 }, (_, index) => total(throughput.queues.map((queue) => queue.failed[index])));
    figure("throughput", rate(total(all.map((queue) => queue.now))));
    figure("failed", count(total(bad)));
    set(document.querySelector('[data-figure="failed"]'), { class: `figure${total(bad) ? " bad" : ""}` });
    drawSpark(document.querySelector(".spark"), steps, bad);
}

/** Bars of what has finished, the failed part of each at its foot. */
function drawSpark(svg, steps, bad) {
    const most = Math.max(1, ...steps);
    set(svg, { viewBox: "0 0 240 48",
        "aria-label": `Jobs finished in the last 5 minutes: ${plural(total(steps), "job")}, ${total(bad)} of them failed` });
    const bars = steps.flatMap((jobs, index) => [
        { id: `all ${index}`, class: "all", x: index * 4, jobs },
        { id: `bad ${index}`, class: "bad", x: index * 4, jobs: bad[index] },
    ]);
    reconcile(svg, bars, (bar) => bar.id, (bar) => drawing("rect", { class: bar.class, x: bar.x, width: 3, rx: 1 }),
        (node, bar) => {
        const height = bar.jobs ? Math.max(2, (bar.jobs / most) * 46) : bar.class === "all" ? 1 : 0;
        set(node, { y: 48 - height, height, class: `${bar.class}${bar.jobs ? "" : " none"}` });
    });
}

/** What each node has answered in the last minute, of the events that are known. */
function votesOf(node) {
    const since = model.now() - 60_000;
    const counts = new Map();
    for (const event of model.events.values()) {
        if (event.moment < since) continue;
        for (const vote of event.votes ?? []) {
            if (vote.node === node) counts.set(vote.verdict, (counts.get(vote.verdict) ?? 0) + 1);
        }
    }
    return counts;
}

async function showNodes() {
    const { nodes, voting, quorum } = await get("/v1/nodes");
    const isEnough = voting >= quorum;
    set(say(byID("quorum"), `${voting} of ${nodes.length} vote, ${quorum} needed`),
        { class: `badge ${isEnough ? "good" : "bad"}` });
    reconcile(byID("nodes"), nodes, (node) => node.name, (node) =>
        element("li", { class: "node" }, element("span", { class: "lamp" }),
            element("span", { class: "name" }, node.name),
            element("span", { class: "state" }), element("span", { class: "meter" }), element("small")),
    (item, node) => {
        const [lamp, , state, meter, text] = item.children;
        const kind = !node.connected ? "away" : node.quarantined ? "quarantined" : node.votes ? "voting" : "refusing";
        set(lamp, { class: `lamp ${kind}` });
        say(state, { away: "not connected", quarantined: "in quarantine, no vote", refusing: `no vote: ${node.obstacle}`,
            voting: `votes, ${micros(node.roundTripUs)} away` }[kind]);
        const counts = votesOf(node.name);
        const all = total([...counts.values()]);
        const granted = counts.get("granted") ?? 0;
        drawMeter(meter, all ? granted / all : 0, all ? "" : "none");
        const others = [...counts].filter(([verdict]) => verdict !== "granted").map(([verdict, number]) =>
            `${count(number)} ${verdict}`);
        say(text, all ? [`${count(granted)} granted`, ...others].join(", ") + " in the last minute"
            : "asked nothing in the last minute");
    });
}

async function showWorkers() {
    const asked = Date.now();
    const { workers } = await get("/v1/workers");
    const now = model.now() - (Date.now() - asked) / 2;
    figure("slots", workers.length
        ? `of ${count(total(workers.map((worker) => worker.slots)))} slots, ${plural(workers.length, "worker")}`
        : "there is no worker");
    reconcile(byID("workers"), workers, (worker) => worker.id, (worker) =>
        element("li", { class: "worker" }, drawing("svg", { width: 12, height: 12, "aria-hidden": "true" },
            drawing("g", { class: `hold worker-${worker.id % 8}` }, drawing("rect",
                { class: "bar", width: 12, height: 12, rx: 3 }))),
        element("span", { class: "name" }), element("span", { class: "state" }), element("span", { class: "meter" }),
            element("small"), element("small", { class: "bad" })),
    (item, worker) => {
        const [, name, state, meter, text, nodes] = item.children;
        say(name, worker.name);
        say(state, `${plural(worker.claims, "line")} claimed`);
        // A worker without a beat for 5 s is taken for dead.
        const age = Math.max(0, now - Date.parse(worker.lastBeatAt));
        drawMeter(meter, Math.max(0, 1 - age / 5000), age > 3500 ? "low" : "");
        say(text, `last beat ${duration(age)} ago; ${plural(worker.slots, "slot")}; queues ${worker.queues.join(", ")}`);
        const without = worker.nodesWithoutVote;
        say(show(nodes, without.length > 0), `no vote from ${without.map((node) => node.split(" ")[0]).join(", ")}`);
        set(nodes, { title: without.join("\n") });
        set(item, { title: `worker ${worker.id}, since ${worker.startedAt}; kinds ${worker.kinds.join(", ")}` });
    });
    const list = byID("workers");
    set(list, { "data-empty": workers.length ? null : "No worker is alive: jobs wait." });
}

function drawMeter(meter, part, kind) {
    if (!meter.firstChild) {
        meter.append(drawing("svg", { preserveAspectRatio: "none", viewBox: "0 0 100 4", "aria-hidden": "true" },
            drawing("rect", { class: "ground", width: 100, height: 4 }),
                drawing("rect", { class: "part", height: 4 })));
    }
    set(meter, { class: `meter ${kind}` });
    set(meter.firstChild.lastChild, { width: Math.max(0, part * 100).toFixed(1) });
}

const model = new Model();
const plot = new Plot(byID("recent"), model, { linkOf: keyPath, mostRows: 8 });
const feed = new Feed(model, { onChange: () => plot.change(), liveness });

repeat(showThroughput, 2_000, liveness("throughput"));
repeat(showQueues, 1_000, liveness("queues"));
repeat(showNodes, 2_000, liveness("nodes"));
repeat(showWorkers, 1_000, liveness("workers"));
feed.start(plot.span);
