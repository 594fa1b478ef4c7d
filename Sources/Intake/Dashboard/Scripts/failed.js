// Failed jobs, and the retry of many.

import { get, post } from "./api.js";
import { byID, element, say, show } from "./dom.js";
import { jobTable } from "./jobs.js";
import { plural } from "./plot.js";
import { explain, liveness, notify } from "./shell.js";

/** Retries that are under way at once: the intake has others to serve. */
const width = 4;

const live = liveness("jobs");
let jobs = [];
let next = null;
const table = jobTable("Failed jobs", ["job", "key", "queue", "attempt", "finished", "error"], {
    heading: element("span", { class: "unseen" }, "Chosen"),
    cell: (job) => element("input", { type: "checkbox", value: job.id, "aria-label": `Job ${job.id}` }),
});
byID("jobs").append(table.table);

const boxes = () => [...byID("jobs").querySelectorAll("input[type=checkbox]")];
const chosen = () => boxes().filter((box) => box.checked);

async function load(isMore) {
    try {
        const cursor = isMore && next ? `&cursor=${encodeURIComponent(next)}` : "";
        const page = await get(`/v1/jobs?state=failed&fields=key,state,queue,attempt,maxAttempts,finishedAt,error&limit=100${cursor}`);
        jobs = isMore ? [...jobs, ...page.jobs] : page.jobs;
        table.show(jobs);
        next = page.next ?? null;
        live(null);
    } catch (error) {
        live(error);
        notify(explain(error), "bad");
    }
    show(byID("more"), next !== null);
    showChosen();
}

function showChosen() {
    const number = chosen().length;
    const all = boxes().length;
    say(byID("retry"), number ? `Retry ${plural(number, "job")}` : "Retry");
    byID("retry").disabled = number === 0;
    byID("all").checked = all > 0 && number === all;
    byID("all").indeterminate = number > 0 && number < all;
}

async function retryChosen() {
    const numbers = chosen().map((box) => box.value);
    const progress = byID("progress");
    progress.max = numbers.length;
    progress.value = 0;
    show(progress, true);
    byID("retry").disabled = true;
    const waiting = [...numbers];
    const failures = [];
    let hasStopped = false;
    await Promise.all(Array.from({ length: width }, async () => {
        while (waiting.length && !hasStopped) {
            const job = waiting.shift();
            try {
                await post(`/v1/jobs/${job}/retry`);
            } catch (error) {
                failures.push(error);
                // A token that will not do for one will do for none.
                if (error.status === 401 || error.status === 403) hasStopped = true;
            }
            progress.value += 1;
        }
    }));
    show(progress, false);
    const done = numbers.length - failures.length - waiting.length;
    if (done) notify(`${plural(done, "job")} will run again`);
    if (failures.length) {
        const left = plural(failures.length + waiting.length, "job");
        notify(`${left} could not be retried. ${explain(failures[0])}`, "bad");
    }
    await load(false);
}

byID("all").addEventListener("change", (event) => {
    for (const box of boxes()) box.checked = event.target.checked;
    showChosen();
});
byID("jobs").addEventListener("change", showChosen);
byID("more").addEventListener("click", () => load(true));
byID("retry").addEventListener("click", retryChosen);
load(false);
