// A job by its number, and a key by its name.

import { get } from "./api.js";
import { byID, jobPath, keyPath, say, show } from "./dom.js";
import { jobTable } from "./jobs.js";
import { explain, liveness, notify } from "./shell.js";

const live = liveness("search");
const text = (new URLSearchParams(location.search).get("q") ?? "").trim();
document.querySelector(".find input").value = text;
say(byID("title"), text ? `“${text}”` : "Search");

/** What an answer has; null where there is nothing of the kind. */
async function found(path) {
    try {
        return await get(path);
    } catch (error) {
        if (error.status === 404 || error.status === 400) return null;
        throw error;
    }
}

async function search() {
    const name = encodeURIComponent(text);
    const [job, key, list, history] = await Promise.all([
        /^[0-9]{1,18}$/.test(text) ? found(`/v1/jobs/${text}`) : null,
        found(`/v1/keys/${name}`), found(`/v1/jobs?limit=50&key=${name}`), found(`/v1/keys/${name}/history?limit=1`),
    ]);
    live(null);
    const isKey = key && (key.value !== undefined || key.line.length || list?.jobs.length || history?.events.length);
    // Of one thing only its own page is of use.
    if (job && !isKey) return location.replace(jobPath(text));
    if (isKey && !job) return location.replace(keyPath(text));
    if (job) {
        const table = jobTable("The job", ["job", "key", "state", "submitted"]);
        table.show([job]);
        byID("job-found").append(table.table);
        show(byID("job"), true);
    }
    if (isKey) {
        byID("key-link").href = keyPath(text);
        const table = jobTable("Jobs of the key", ["job", "state", "attempt", "submitted", "error"]);
        table.show(list?.jobs ?? []);
        byID("jobs").append(table.table);
        show(byID("key"), true);
    }
    if (!job && !isKey) say(show(byID("nothing"), true),
        "There is no job of this number, and no key of this name has had a job or a value.");
}

if (text) {
    search().catch((error) => {
        live(error);
        notify(explain(error), "bad");
    });
} else {
    say(show(byID("nothing"), true), "Say a key, or the number of a job.");
}
