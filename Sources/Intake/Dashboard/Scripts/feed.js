// Fills a model: with what happens, and with the history of the time that is looked at.

import { get, listen, repeat } from "./api.js";

/** A lock is extended at least this often, so that each hold shows in a span of this length. */
const longestTTL = 60_000;
const longestSpan = 7_200_000;
const pageSize = 1000;
const mostPages = 10;

export class Feed {
    /** From when to when the model has all; null before the first answer. */
    loaded = null;
    /** Before this moment there were more events than were read. */
    wholeSince = -Infinity;
    #model;
    #key;
    #onChange;
    #tell;
    #loading = Promise.resolve();
    #isLoading = false;
    #span = null;
    /** Since when no events have come. */
    #lostAt = null;

    /**
     * @param model - What to fill.
     * @param onChange - Told that the model has changed.
     * @param liveness - Gives what tells how a source does: an error, or null when all is well.
     * @param key - Only this key's; null for all.
     */
    constructor(model, { onChange, liveness, key = null }) {
        this.#model = model;
        this.#onChange = onChange;
        this.#tell = { events: liveness("events"), history: liveness("history"), waits: liveness("waits") };
        this.#key = key;
    }

    /** Loads the last `span` milliseconds, and follows what happens from then on. */
    async start(span) {
        await new Promise((resolve) => {
            // First, since it tells the database's clock.
            repeat(() => this.#poll().then(resolve), 1000, this.#tell.waits);
        });
        this.#span = span;
        await new Promise((resolve) => {
            listen(`/v1/events?${this.#query({})}`, (event) => this.#hear(event), (error) => {
                this.#tell.events(error);
                if (error) this.#lostAt ??= this.#model.now();
                else this.#catchUp();
                resolve();
            });
        });
        // Once the events come, so that none falls between the two.
        await this.#loadLast();
        for (const lock of await this.#locks()) this.#model.addLock(lock);
        this.#onChange();
    }

    #loadLast() {
        return this.load(this.#model.now() - this.#span, this.#model.now());
    }

    /** Reads what happened while the events did not come. */
    #catchUp() {
        const since = this.#lostAt;
        this.#lostAt = null;
        if (since === null || this.loaded === null) return;
        this.loaded.until = Math.min(this.loaded.until, since - longestTTL);
        this.#loadLast();
    }

    #hear(event) {
        // While another time is looked at, what happens is not kept: it is read once one comes back to it.
        if (!this.#isLoading && this.loaded !== null && this.loaded.until !== Infinity) return;
        if (!this.#model.add(event)) return;
        this.#prune();
        this.#onChange();
    }

    #prune() {
        const kept = this.#model.prune();
        if (kept !== null && this.loaded !== null) this.loaded.since = Math.max(this.loaded.since, kept);
    }

    async #locks() {
        // What is not to be had shows with its next extension.
        const { locks } = await get("/v1/locks?limit=1000").catch(() => ({ locks: [] }));
        return locks.filter((lock) => this.#key === null || lock.key === this.#key);
    }

    /** What waits and what has finished a moment ago, and the database's clock; the workers' names. */
    async #poll() {
        const asked = Date.now();
        const span = { since: this.#model.now() - 10_000, until: this.#model.now() + longestTTL };
        const [waits, { workers }] = await Promise.all([get(`/v1/waits?${this.#query(span)}`), get("/v1/workers")]);
        this.#model.setClock(waits.now, asked, Date.now());
        this.#model.addWaits(waits, Date.parse(waits.now), waits.unfinished.length < pageSize);
        for (const worker of workers) this.#model.workers.set(worker.id, worker.name);
        this.#prune();
        this.#onChange();
        if (this.#span !== null && this.loaded === null && !this.#isLoading) this.#loadLast();
    }

    #query(span) {
        const query = new URLSearchParams();
        if (span.since !== undefined) {
            query.set("since", new Date(span.since).toISOString());
            query.set("until", new Date(span.until).toISOString());
            query.set("limit", String(pageSize));
        }
        if (this.#key !== null) query.set("key", this.#key);
        return query;
    }

    /** Loads what is missing of a span, one after the other. */
    load(since, until) {
        this.#loading = this.#loading.then(async () => {
            this.#isLoading = true;
            try {
                await this.#load(since, until);
                this.#tell.history(null);
            } catch (error) {
                this.#tell.history(error);
            }
            this.#isLoading = false;
            this.#onChange();
        });
        return this.#loading;
    }

    async #load(from, to) {
        const now = this.#model.now();
        const since = from - longestTTL;
        // What is after now is told by the events.
        const until = to + longestTTL >= now ? Infinity : to + longestTTL;
        const last = Math.min(until, now + longestTTL);
        if (this.loaded === null || until < this.loaded.since || since > this.loaded.until) {
            // What lies between is not known, and what is known of other times is not joined to this.
            this.#model.clear();
            this.wholeSince = -Infinity;
            await this.#read(since, last);
            this.loaded = { since, until };
            return;
        }
        if (since < this.loaded.since) {
            // A margin, so that a step back need not ask each time.
            const earlier = since - (to - from) / 2;
            await this.#read(earlier, this.loaded.since);
            this.loaded.since = earlier;
        }
        if (until > this.loaded.until) {
            await this.#read(this.loaded.until, last);
            this.loaded.until = until;
        }
    }

    async #read(since, until) {
        for (let start = since; start < until; start += longestSpan) {
            const end = Math.min(until, start + longestSpan);
            const { finished } = await get(`/v1/waits?${this.#query({ since: start, until: end })}`);
            for (const wait of finished) this.#model.addWait(wait);
            let cursor = "";
            for (let page = 0; page < mostPages; page += 1) {
                const { events, next } = await get(`/v1/history?${this.#query({ since: start, until: end })}${cursor}`);
                for (const event of events) this.#model.add(event);
                if (!next) break;
                cursor = `&cursor=${encodeURIComponent(next)}`;
                if (page === mostPages - 1) this.wholeSince = Math.max(this.wholeSince, Date.parse(events.at(-1).at));
            }
        }
    }
}
