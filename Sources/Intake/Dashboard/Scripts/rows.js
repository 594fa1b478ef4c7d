// What a timeline shows, by row, and where in its row.

/** A bar of fewer pixels cannot be told from its neighbour. */
const least = 3;
/** From so many holds on, a row is crowded. */
const many = 40;
const mostLanes = 4;
const natural = new Intl.Collator("en", { numeric: true });
/** How the end of a hold is called and drawn; of what is not here, nothing is drawn. */
const ends = { lost: "lost", overrun: "overrun", failed: "failed", refused: "refused", cancelled: "cancelled" };

/** What is to be seen at the end of a hold: nothing, if it went well. */
export const endOf = (hold) =>
    ends[hold.endedBy] ?? ends[hold.outcome] ?? ends[hold.cutBy] ?? (hold.cutAt ? "cut" : "");

/** What falls into a span of time, by row, in the order of their names; and how many rows had no room. */
export function rowsOf(model, { start, end, scale, filter, rowOf, mostRows }) {
    const now = model.now();
    const rows = new Map();
    const part = filter.toLowerCase();
    const row = (item, latest) => {
        const name = rowOf(item);
        if (part && !name.toLowerCase().includes(part)) return null;
        if (!rows.has(name)) {
            const lists = { holds: [], small: [], waits: [], marks: [], workers: [] };
            rows.set(name, { name, ...lists, latest: 0, count: 0, waiting: 0 });
        }
        const found = rows.get(name);
        found.latest = Math.max(found.latest, latest);
        return found;
    };
    for (const hold of model.holds.values()) {
        const to = model.endOf(hold, now);
        if (to < start || hold.start > end) continue;
        row(hold, to)?.holds.push({ id: `hold ${hold.fence}`, kind: "hold", hold, from: hold.start, to });
    }
    for (const found of rows.values()) foldSmall(found, model, scale, now);
    for (const wait of model.waits.values()) {
        for (const [index, segment] of [...model.segments(wait, now)].entries()) {
            // What began at once has not waited.
            if (segment.to < start || segment.from > end || segment.to - segment.from < 20) continue;
            const found = row(wait, segment.to);
            if (!found) continue;
            if (segment.isOpen) found.waiting += 1;
            if (!segment.isOpen && (segment.to - segment.from) * scale < least) continue;
            found.waits.push({ ...segment, id: `wait ${wait.job} ${index}`, wait, isOver: !segment.isOpen });
        }
    }
    for (const mark of model.marks.values()) {
        if (mark.event === "waiting") {
            const to = model.endOfForeign(mark, now);
            if (to < start || mark.moment > end) continue;
            row(mark, to)?.marks.push({ id: `foreign ${mark.id}`, kind: "foreign", mark, from: mark.moment, to,
                isOpen: to === now });
        } else if (mark.moment >= start && mark.moment <= end) {
            row(mark, mark.moment)?.marks.push({ id: `mark ${mark.id}`, kind: "mark", mark, from: mark.moment,
                to: mark.moment });
        }
    }
    const latest = [...rows.values()].sort((a, b) => b.latest - a.latest);
    const shown = latest.slice(0, mostRows).sort((a, b) => natural.compare(a.name, b.name));
    return { rows: shown, hidden: latest.length - shown.length };
}

/** Where a row has many holds, those too short to be told apart are drawn as one, unless something went wrong. */
function foldSmall(row, model, scale, now) {
    row.count = row.holds.length;
    row.workers = row.holds.map(({ hold }) => hold.worker);
    row.small = Array.from({ length: 8 }, () => []);
    if (row.count < many) return;
    row.holds = row.holds.filter(({ hold, from, to }) => {
        if ((to - from) * scale >= least || endOf(hold) || model.isOpen(hold, now)) return true;
        row.small[hold.worker % 8].push([from, to]);
        return false;
    });
}

/** The lanes of waits below the holds of each row. */
export class Lanes {
    #lanes = new Map();

    /** Gives each wait a lane, and those for which there is none left one bar together. Returns the lanes. */
    place(row) {
        const busy = [];
        const rest = [];
        for (const item of row.waits.sort((a, b) => a.from - b.from || a.wait.job - b.wait.job)) {
            // A lane is kept: what waits moves up in its line, and not on the picture.
            let lane = this.#lanes.get(item.id);
            if (lane === undefined) {
                lane = busy.findIndex((until) => until <= item.from);
                if (lane < 0) lane = Math.min(busy.length, mostLanes - 1);
                this.#lanes.set(item.id, lane);
            }
            item.lane = lane;
            while (busy.length <= lane) busy.push(-Infinity);
            if (lane === mostLanes - 1 && busy[lane] > item.from) rest.push(item);
            busy[lane] = Math.max(busy[lane], item.isOver ? item.to : Infinity);
        }
        if (rest.length) {
            // All of that lane: which of them were alone there changes as they come and go.
            const last = row.waits.filter((item) => item.lane === mostLanes - 1);
            row.waits = row.waits.filter((item) => item.lane < mostLanes - 1);
            for (const item of last) {
                const bar = row.waits.at(-1);
                if (bar?.more && bar.to >= item.from) {
                    bar.more += 1;
                    bar.to = Math.max(bar.to, item.to);
                    bar.isOpen ||= item.isOpen;
                    bar.kind = bar.kind === item.kind ? bar.kind : "line";
                } else {
                    row.waits.push({ ...item, more: 1 });
                }
            }
        }
        return busy;
    }

    /** Forgets those of long ago. */
    prune() {
        if (this.#lanes.size > 20_000) this.#lanes.clear();
    }
}
