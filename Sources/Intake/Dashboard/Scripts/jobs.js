// A table of jobs.

import { element, jobLink, keyLink, reconcile, row, set, show } from "./dom.js";
import { count, moment } from "./format.js";

export const badge = (state) => element("span", { class: `badge ${state}` }, state);

const columns = {
    job: ["Job", "number", (job) => jobLink(job.id)],
    key: ["Key", "", (job) => keyLink(job.key)],
    state: ["State", "", (job) => badge(job.state)],
    attempt: ["Attempt", "number", (job) => `${count(job.attempt)} of ${count(job.maxAttempts)}`],
    submitted: ["Submitted", "", (job) => moment(job.submittedAt)],
    finished: ["Finished", "", (job) => moment(job.finishedAt)],
    queue: ["Queue", "", (job) => job.queue],
    error: ["Why", "why", (job) => job.error ?? ""],
};

/**
 * A table of jobs.
 *
 * @param names - Its columns, of those above.
 * @param more - A first column of one's own: its heading, and a cell for a job.
 * @returns The table to be placed, and a function that shows jobs in it and leaves alone the rows of those that are
 * the same.
 */
export function jobTable(title, names, more = null) {
    const chosen = [...(more ? [[more.heading, "", more.cell]] : []), ...names.map((name) => columns[name])];
    const body = element("tbody");
    const empty = element("p", { class: "empty" }, "None.");
    const table = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
        element("table", {}, element("thead", {}, element("tr", {}, chosen.map(([heading, kind]) =>
            element("th", { class: kind || null }, heading)))), body), empty);
    const showJobs = (jobs) => {
        reconcile(body, jobs, (job) => `${job.id} ${job.state} ${job.attempt} ${job.finishedAt}`, (job) =>
            set(row(body, ...chosen.map(([, , cell]) => cell(job))), { "data-job": job.id }));
        show(empty, jobs.length === 0);
    };
    return { table, show: showJobs };
}
