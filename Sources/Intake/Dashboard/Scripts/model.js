// The holds, waits and marks of a timeline, made of events and waits that come in any order and more than once.

/** How many events are kept; the oldest go first. */
const most = 20_000;

export class Model {
    events = new Map();
    holds = new Map();
    waits = new Map();
    marks = new Map();
    workers = new Map();
    #holdsOfJob = new Map();
    /** Since when another holder has kept a job out. */
    #keptOut = new Map();
    #offset = null;

    /** The database's clock, in milliseconds. */
    now() {
        return Date.now() + (this.#offset ?? 0);
    }

    /** Sets the clock by an answer's time, and those at which it was asked for and had. */
    setClock(text, asked, had) {
        const offset = Date.parse(text) - (asked + had) / 2;
        // What the way took differs from answer to answer, and the picture should not tremble.
        if (this.#offset === null || Math.abs(offset - this.#offset) > 250) this.#offset = offset;
    }

    workerName(id) {
        return this.workers.get(id) ?? `worker no. ${id}`;
    }

    add(event) {
        if (this.events.has(event.id)) return false;
        const at = Date.parse(event.at);
        this.events.set(event.id, { ...event, moment: at });
        if (["waiting", "refused", "rescued"].includes(event.event)) {
            this.marks.set(event.id, this.events.get(event.id));
        }
        if (event.event === "waiting") {
            this.#keptOut.set(event.job, Math.min(this.#keptOut.get(event.job) ?? Infinity, at));
        }
        if (event.fence !== undefined && event.event !== "waiting") this.#tell(this.#hold(event, at), event, at);
        return true;
    }

    /** A hold that may have begun before the first event that is known. */
    addLock(lock) {
        this.#hold(lock, Date.parse(lock.since));
    }

    #hold(event, at) {
        let hold = this.holds.get(event.fence);
        if (!hold) {
            hold = {
                fence: event.fence, job: event.job, key: event.key, attempt: event.attempt, worker: event.worker,
                start: event.heldUs === undefined ? at : at - event.heldUs / 1000, extensions: [],
                end: null, endedBy: null, outcome: null, reason: null, validUntil: null, cutAt: null,
                votes: event.votes,
            };
            this.holds.set(event.fence, hold);
            const others = this.#holdsOfJob.get(event.job) ?? new Set();
            this.#holdsOfJob.set(event.job, others.add(hold));
        }
        return hold;
    }

    #tell(hold, event, at) {
        if (event.validityUs !== undefined) {
            hold.validUntil = Math.max(hold.validUntil ?? 0, at + event.validityUs / 1000);
        }
        switch (event.event) {
        case "acquired":
            hold.start = at;
            hold.isBegun = true;
            hold.votes = event.votes;
            hold.waitedUs = event.waitedUs;
            break;
        case "extended":
            hold.extensions.push(at);
            break;
        case "passed":
        case "released":
        case "lost":
        case "overrun":
            hold.end = at;
            hold.endedBy = event.event;
            hold.outcome = event.outcome;
            hold.reason = event.reason;
            break;
        case "rescued":
        case "refused":
            // Its worker was gone, or came too late: what it held was over by the end of its validity.
            hold.cutAt = Math.min(hold.cutAt ?? Infinity, at);
            hold.cutBy = event.event;
            break;
        }
        if (!hold.isBegun && event.heldUs !== undefined) hold.start = Math.min(hold.start, at - event.heldUs / 1000);
    }

    /** When a hold ended; of one that lasts, now. */
    endOf(hold, now) {
        if (hold.end !== null) return hold.end;
        return Math.max(hold.start, Math.min(hold.cutAt ?? now, hold.validUntil ?? now, now));
    }

    isOpen(hold, now) {
        return hold.end === null && hold.cutAt === null && (hold.validUntil ?? now) >= now;
    }

    addWait(wait) {
        this.waits.set(wait.job, {
            ...wait,
            since: Date.parse(wait.since),
            startedAt: wait.startedAt ? Date.parse(wait.startedAt) : null,
            finishedAt: wait.finishedAt ? Date.parse(wait.finishedAt) : null,
        });
    }

    /** Takes an answer's waits; what is not among the unfinished has finished, if those are all. */
    addWaits({ unfinished, finished }, now, isWhole) {
        // A job may have finished between the answer's two looks.
        for (const wait of [...unfinished, ...finished]) this.addWait(wait);
        if (!isWhole) return;
        const jobs = new Set(unfinished.map((wait) => wait.job));
        for (const [job, wait] of this.waits) {
            if (wait.finishedAt === null && !jobs.has(job) && wait.since < now) this.waits.delete(job);
        }
    }

    /** From when to when a job waited: for its line, between its attempts, and for whoever else held its lock. */
    *segments(wait, now) {
        const holds = [...(this.#holdsOfJob.get(wait.job) ?? [])].sort((a, b) => a.start - b.start);
        const ran = holds[0]?.start ?? wait.startedAt ?? wait.finishedAt ?? null;
        const kept = this.#keptOut.get(wait.job);
        const first = Math.min(ran ?? now, kept ?? Infinity);
        const isOpen = ran === null && kept === undefined;
        yield { kind: "line", from: wait.since, to: Math.max(first, wait.since), isOpen };
        for (const [index, hold] of holds.entries()) {
            if (this.isOpen(hold, now)) continue;
            // What has succeeded is told before it is settled.
            const isOver = wait.finishedAt !== null || ["succeeded", "cancelled"].includes(hold.outcome);
            const next = holds[index + 1]?.start ?? (isOver ? null : now);
            if (next !== null) {
                yield { kind: "again", from: this.endOf(hold, now), to: next, isOpen: !holds[index + 1] };
            }
        }
    }

    /** Until when somebody else kept a job out: it has its lock then, or is over. */
    endOfForeign(mark, now) {
        const starts = [...(this.#holdsOfJob.get(mark.job) ?? [])].map((hold) => hold.start);
        const holds = starts.filter((at) => at >= mark.moment);
        const finished = this.waits.get(mark.job)?.finishedAt;
        return holds.length ? Math.min(...holds) : finished ?? now;
    }

    /** Forgets the oldest, once there are too many. Returns the first moment that is still whole, or null. */
    prune() {
        if (this.events.size <= most) return null;
        const moments = [...this.events.values()].map((event) => event.moment).sort((a, b) => a - b);
        const cut = moments[Math.floor(most / 4)];
        const now = this.now();
        for (const [id, event] of this.events) if (event.moment < cut) this.events.delete(id);
        for (const [id, mark] of this.marks) if (mark.moment < cut) this.marks.delete(id);
        for (const [fence, hold] of this.holds) {
            if (this.endOf(hold, now) >= cut || this.isOpen(hold, now)) continue;
            this.holds.delete(fence);
            this.#holdsOfJob.get(hold.job)?.delete(hold);
            if (!this.#holdsOfJob.get(hold.job)?.size) this.#holdsOfJob.delete(hold.job);
        }
        for (const [job, at] of this.#keptOut) if (at < cut) this.#keptOut.delete(job);
        for (const [job, { finishedAt }] of this.waits) {
            if (finishedAt !== null && finishedAt < cut) this.waits.delete(job);
        }
        return cut;
    }

    /** Forgets all but the clock and the workers' names. */
    clear() {
        const all = [this.events, this.holds, this.waits, this.marks, this.#holdsOfJob, this.#keptOut];
        for (const map of all) map.clear();
    }
}
