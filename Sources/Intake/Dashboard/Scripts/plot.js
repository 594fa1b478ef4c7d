// Draws a timeline: rows down, time across, as SVG.

import { drawing, element, reconcile, say, set } from "./dom.js";
import { clockTime, dayOf, duration } from "./format.js";

const paddingTop = 8;
const holdHeight = 20;
const laneHeight = 8;
const paddingBottom = 8;
const mostLanes = 4;
const axisHeight = 26;
/** Between the ticks of the axis, in milliseconds. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400].map((seconds) => seconds * 1000);
const natural = new Intl.Collator("en", { numeric: true });
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

/** A bar of fewer pixels cannot be told from its neighbour. */
const least = 3;
/** From so many holds on, a row is crowded. */
const many = 40;

/** How the end of a hold is called and drawn; of what is not here, nothing is drawn. */
const ends = { lost: "lost", overrun: "overrun", failed: "failed", refused: "refused", cancelled: "cancelled" };

/** A mark's shape around its middle. */
const shapes = {
    lost: "M-4-4 4 4M4-4-4 4",
    refused: "M-4 0H4",
    overrun: "M0-4.5V1M0 4V4.5",
    rescued: "M-4 0 0-4 4 0M0-4V5",
    waiting: "M-3-4V4M3-4V4",
};

export class Plot {
    span = 60_000;
    /** The last moment that is shown; null is now. */
    end = null;
    filter = "";
    /** How many keys had no room. */
    hidden = 0;
    shown = { holds: 0, waits: 0, marks: 0, rows: [] };
    #model;
    #rowOf;
    #linkOf;
    #mostRows;
    #parts;
    #width = 0;
    #anchor = 0;
    #scale = 0;
    #lanes = new Map();
    #open = [];
    #lastFrame = 0;
    #isDue = false;
    #drawnAt = 0;
    #drawingTook = 0;

    /**
     * @param root - Where it is drawn.
     * @param model - What is drawn.
     * @param rowOf - The row of a hold, a wait or a mark; its key unless given.
     * @param linkOf - What a row's name leads to; null for none.
     * @param mostRows - The most rows; those with the latest events have room.
     * @param onDraw - Told that something else is shown.
     */
    constructor(root, model, { rowOf = (item) => item.key, linkOf = () => null, mostRows = 40, onDraw = () => {} } = {}) {
        this.#model = model;
        this.#rowOf = rowOf;
        this.#linkOf = linkOf;
        this.#mostRows = mostRows;
        this.onDraw = onDraw;
        this.#parts = makeParts(root);
        new ResizeObserver(() => this.draw()).observe(this.#parts.plot);
        const frame = (now) => {
            this.#frame(now);
            requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
    }

    get plot() {
        return this.#parts.plot;
    }

    /** The database's clock. */
    now() {
        return this.#model.now();
    }

    /** The first and the last moment that is shown. */
    get range() {
        // Room at the right for what happens next.
        const end = this.end ?? this.#model.now() + this.span * 0.03;
        return { start: end - this.span, end };
    }

    /** Draws anew at the next frame. */
    change() {
        this.#isDue = true;
    }

    #frame(at) {
        const pause = isCalm.matches ? 1000 : this.span < 120_000 ? 33 : 200;
        if (document.hidden || at - this.#lastFrame < pause) return;
        this.#lastFrame = at;
        // Where there is much to draw, it is not drawn as often.
        const since = performance.now() - this.#drawnAt;
        if (since > (this.#isDue ? 80 : 1000) + 6 * this.#drawingTook) this.draw();
        else if (this.end === null) this.#move();
    }

    /** Moves what is drawn to where it is at this moment. */
    #move() {
        const { start } = this.range;
        const now = this.#model.now();
        const shift = `translate(${((this.#anchor - start) * this.#scale).toFixed(2)} 0)`;
        for (const part of [this.#parts.content, this.#parts.grid, this.#parts.ticks]) set(part, { transform: shift });
        for (const { node, from } of this.#open) {
            set(node, { width: Math.max(2, (now - from) * this.#scale).toFixed(2) });
        }
        const x = ((now - start) * this.#scale).toFixed(2);
        set(this.#parts.now, { x1: x, x2: x });
    }

    draw() {
        const began = performance.now();
        this.#isDue = false;
        const width = this.#parts.plot.clientWidth;
        if (width === 0) return;
        const { start, end } = this.range;
        const scale = width / this.span;
        if (scale !== this.#scale || width !== this.#width || Math.abs(start - this.#anchor) * scale > 20_000) {
            this.#scale = scale;
            this.#width = width;
            this.#anchor = start;
        }
        this.#open = [];
        const rows = this.#rows(start, end);
        this.#drawRows(rows);
        this.#drawAxis(start, end);
        this.#drawItems(rows);
        this.#move();
        this.onDraw(this);
        this.#drawnAt = performance.now();
        this.#drawingTook = this.#drawnAt - began;
    }

    #x(moment) {
        return (moment - this.#anchor) * this.#scale;
    }

    /** What falls into a span of time, by row; the rows in the order of their names. */
    #rows(start, end) {
        const now = this.#model.now();
        const rows = new Map();
        const filter = this.filter.toLowerCase();
        const row = (item, latest) => {
            const name = this.#rowOf(item);
            if (filter && !name.toLowerCase().includes(filter)) return null;
            if (!rows.has(name)) rows.set(name, { name, holds: [], small: [], waits: [], marks: [], latest: 0, count: 0, waiting: 0 });
            const found = rows.get(name);
            found.latest = Math.max(found.latest, latest);
            return found;
        };
        for (const hold of this.#model.holds.values()) {
            const to = this.#model.endOf(hold, now);
            if (to < start || hold.start > end) continue;
            row(hold, to)?.holds.push({ id: `hold ${hold.fence}`, kind: "hold", hold, from: hold.start, to });
        }
        for (const found of rows.values()) this.#foldSmall(found, now);
        for (const wait of this.#model.waits.values()) {
            for (const [index, segment] of [...this.#model.segments(wait, now)].entries()) {
                // What began at once has not waited.
                if (segment.to < start || segment.from > end || segment.to - segment.from < 20) continue;
                const found = row(wait, segment.to);
                if (!found) continue;
                if (segment.isOpen) found.waiting += 1;
                if (!segment.isOpen && (segment.to - segment.from) * this.#scale < least) continue;
                found.waits.push({ ...segment, id: `wait ${wait.job} ${index}`, wait, isOver: !segment.isOpen });
            }
        }
        for (const mark of this.#model.marks.values()) {
            if (mark.event === "waiting") {
                const to = this.#model.endOfForeign(mark, now);
                if (to < start || mark.moment > end) continue;
                row(mark, to)?.marks.push({ id: `foreign ${mark.id}`, kind: "foreign", mark, from: mark.moment, to });
            } else if (mark.moment >= start && mark.moment <= end) {
                row(mark, mark.moment)?.marks.push({ id: `mark ${mark.id}`, kind: "mark", mark, from: mark.moment, to: mark.moment });
            }
        }
        const latest = [...rows.values()].sort((a, b) => b.latest - a.latest);
        this.hidden = Math.max(0, latest.length - this.#mostRows);
        return latest.slice(0, this.#mostRows).sort((a, b) => natural.compare(a.name, b.name));
    }

    /** Where a row has many holds, those too short to be told apart are drawn as one, unless something went wrong. */
    #foldSmall(row, now) {
        row.count = row.holds.length;
        row.small = Array.from({ length: 8 }, () => []);
        if (row.count < many) return;
        row.holds = row.holds.filter(({ hold, from, to }) => {
            if ((to - from) * this.#scale >= least || this.#endName(hold) || this.#model.isOpen(hold, now)) return true;
            row.small[hold.worker % 8].push([from, to]);
            return false;
        });
    }

    /** Places the rows, and the waits in lanes below the hold that they wait for. */
    #drawRows(rows) {
        let y = 0;
        for (const row of rows) {
            const busy = this.#placeWaits(row);
            row.y = y;
            row.height = paddingTop + holdHeight + (busy.length ? 4 + busy.length * laneHeight : 0) + paddingBottom;
            y += row.height;
        }
        if (this.#lanes.size > 20_000) this.#lanes.clear();
        const { plot, labels, bands, empty, now } = this.#parts;
        const height = Math.max(y, 56);
        set(plot, { height });
        labels.style.height = `${height}px`;
        set(now, { y2: height });
        empty.hidden = rows.length > 0;
        reconcile(bands, rows, (row) => row.name, () => drawing("rect", { class: "band", x: 0, width: "100%" }), (node, row) =>
            set(node, { y: row.y, height: row.height }));
        reconcile(labels, rows, (row) => row.name, (row) => makeLabel(row, this.#linkOf(row.name)), (node, row) => {
            node.style.top = `${row.y}px`;
            node.style.height = `${row.height}px`;
            say(node.lastChild, row.waiting ? `${row.waiting} waiting` : "");
        });
        this.shown = {
            rows,
            holds: sum(rows, (row) => row.count),
            waits: sum(rows, (row) => row.waits.length),
            marks: sum(rows, (row) => row.marks.filter((item) => item.kind === "mark").length),
        };
        set(plot, { "aria-label": this.#summary() });
    }

    /** Gives each wait a lane, and those for which there is none left one bar together. Returns the lanes. */
    #placeWaits(row) {
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

    #summary() {
        const { rows, holds, waits, marks } = this.shown;
        const { start, end } = this.range;
        return `Timeline of ${plural(rows.length, "row")} from ${clockTime(start)} to ${clockTime(end)}: `
            + `${plural(holds, "hold")}, ${plural(waits, "wait")}, ${plural(marks, "mark")}. Up and down go from bar to bar.`;
    }

    #drawAxis(start, end) {
        const step = steps.find((length) => length * this.#scale >= 84) ?? steps.at(-1);
        const zone = new Date(start).getTimezoneOffset() * 60_000;
        const ticks = [];
        // One more on each side: they come into view between two drawings.
        for (let at = Math.floor((start - zone) / step) * step + zone; at <= end + step; at += step) ticks.push(at);
        reconcile(this.#parts.grid, ticks, (at) => at, () => drawing("line", { class: "grid", y1: 0, y2: 10_000 }), (node, at) =>
            set(node, { x1: this.#x(at).toFixed(2), x2: this.#x(at).toFixed(2) }));
        reconcile(this.#parts.ticks, ticks, (at) => at, (at) => drawing("text", { y: axisHeight - 9 }, clockTime(at)), (node, at) =>
            set(node, { x: this.#x(at).toFixed(2) }));
        say(this.#parts.corner, dayOf(end));
    }

    #drawItems(rows) {
        const now = this.#model.now();
        const items = rows.flatMap((row) => {
            const y = row.y + paddingTop;
            const waits = row.waits.map((item) => ({ ...item, y: y + holdHeight + 4 + item.lane * laneHeight }));
            const rest = [...row.marks.filter((item) => item.kind === "foreign"), ...row.holds, ...row.marks.filter((item) => item.kind === "mark")];
            const small = row.small.map((holds, worker) => ({ id: `small ${row.name} ${worker}`, kind: "small", holds, worker }));
            return [...waits, ...[...small.filter(({ holds }) => holds.length), ...rest].map((item) => ({ ...item, y }))];
        });
        reconcile(this.#parts.content, items, (item) => item.id, makeItem, (node, item) => {
            if (item.kind === "small") return this.#updateSmall(node, item);
            const x = this.#x(item.from);
            const width = Math.max(2, (item.to - item.from) * this.#scale);
            if (item.kind === "hold") this.#updateHold(node, item, x, width, now);
            else if (item.kind === "mark") this.#updateMark(node, item, x);
            else this.#updateWait(node, item, x, width);
        });
    }

    /** The holds of a worker that are too short to be told apart. */
    #updateSmall(node, { holds, y }) {
        set(node, { d: holds.map(([from, to]) => `M${this.#x(from).toFixed(1)} ${y}h${Math.max(1, (to - from) * this.#scale).toFixed(1)}v${holdHeight}H${this.#x(from).toFixed(1)}z`).join("") });
    }

    #endName(hold) {
        return ends[hold.endedBy] ?? ends[hold.outcome] ?? ends[hold.cutBy] ?? (hold.cutAt ? "cut" : "");
    }

    #updateHold(node, { hold, to, from, y }, x, width, now) {
        const isOpen = this.#model.isOpen(hold, now);
        const end = this.#endName(hold);
        const [bar, extensions, cap, title, text] = node.childNodes;
        set(node, { class: `hold worker-${hold.worker % 8} ${isOpen ? "open" : ""} ${end}` });
        set(bar, { x: x.toFixed(2), y, width: width.toFixed(2), height: holdHeight });
        if (isOpen) this.#open.push({ node: bar, from });
        const hasTicks = width > hold.extensions.length * 6;
        const ticks = hasTicks ? hold.extensions.map((at) => `M${this.#x(at).toFixed(1)} ${y + holdHeight - 6}v6`) : [];
        set(extensions, { d: ticks.join("") || null });
        set(cap, { d: end && end !== "cut" ? capPath(end, x + width, y) : null });
        const name = `${hold.job}`;
        const hasRoom = width > name.length * 7 + 12;
        say(text, hasRoom ? name : "");
        set(text, { x: (x + 6).toFixed(2), y: y + 14 });
        this.#label(node, title, this.#describe(hold, to, isOpen));
    }

    #describe(hold, to, isOpen) {
        const votes = hold.votes?.map((vote) => vote.verdict).join(", ");
        const parts = [
            `Job ${hold.job} on ${hold.key}, attempt ${hold.attempt}`,
            `${isOpen ? "held" : "was held"} by ${this.#model.workerName(hold.worker)} for ${duration(to - hold.start)} from ${clockTime(hold.start)}`,
            `fence ${hold.fence}`,
        ];
        if (hold.extensions.length) parts.push(`extended ${plural(hold.extensions.length, "time")}`);
        if (hold.endedBy) parts.push(`${hold.endedBy}${hold.outcome && hold.outcome !== hold.endedBy ? `: ${hold.outcome}` : ""}`);
        else if (hold.cutBy) parts.push(hold.cutBy);
        if (hold.reason) parts.push(hold.reason);
        if (votes) parts.push(`votes ${votes}`);
        return parts.join("; ");
    }

    #updateWait(node, item, x, width) {
        const [bar, title] = node.childNodes;
        const isForeign = item.kind === "foreign";
        const job = isForeign ? item.mark.job : item.wait.job;
        const key = isForeign ? item.mark.key : item.wait.key;
        set(bar, {
            fill: isForeign ? `url(#${this.#parts.hatch})` : null,
            x: x.toFixed(2), y: item.y, width: width.toFixed(2), height: isForeign ? holdHeight : laneHeight - 3,
            rx: isForeign ? 3 : 2.5,
        });
        set(node, { class: `wait ${item.kind}` });
        if (item.isOpen) this.#open.push({ node: bar, from: item.from });
        const why = { line: "waited in line", again: "waited to run again", foreign: "was kept out by another holder of the lock" };
        if (item.more > 1) return this.#label(node, title, `${item.more} jobs on ${key} waited, job ${job} first`);
        this.#label(node, title, `Job ${job} on ${key} ${why[item.kind]} for ${duration(item.to - item.from)} from ${clockTime(item.from)}`);
    }

    #updateMark(node, { mark, y }, x) {
        const [, , title] = node.childNodes;
        set(node, { transform: `translate(${x.toFixed(2)} ${y + holdHeight / 2})` });
        const what = mark.event === "rescued" ? "was put back in line" : "was refused";
        const fence = mark.fence === undefined ? "" : `, fence ${mark.fence}`;
        this.#label(node, title, `Job ${mark.job ?? "–"} on ${mark.key} ${what} at ${clockTime(mark.moment)}${fence}${mark.reason ? `; ${mark.reason}` : ""}`);
    }

    #label(node, title, text) {
        set(node, { "aria-label": text });
        say(title, text);
    }
}

/** A hold's end that is worth a look: a bar in its colour, with a sign for what it was. */
function capPath(end, x, y) {
    const middle = y + holdHeight / 2;
    if (end === "lost") return `M${x - 4} ${middle - 4}l8 8m0-8l-8 8M${x} ${y}v2M${x} ${y + holdHeight - 2}v2`;
    return `M${x - 1.5} ${y + 1}v${holdHeight - 2}`;
}

function makeItem(item) {
    const job = item.hold?.job ?? item.wait?.job ?? item.mark?.job;
    const link = { href: job ? `/jobs/${job}` : null, tabindex: -1 };
    const title = drawing("title");
    if (item.kind === "small") return drawing("path", { class: `small worker-${item.worker}` });
    if (item.kind === "hold") {
        return drawing("a", link, drawing("rect", { class: "bar", rx: 4 }), drawing("path", { class: "extension" }),
            drawing("path", { class: "cap" }), title, drawing("text"));
    }
    if (item.kind === "mark") {
        return drawing("a", { ...link, class: `mark ${item.mark.event}` }, drawing("circle", { r: 8 }),
            drawing("path", { d: shapes[item.mark.event] }), title);
    }
    return drawing("a", link, drawing("rect"), title);
}

function makeLabel(row, link) {
    const name = link ? element("a", { href: link, title: row.name }, row.name) : element("span", { title: row.name }, row.name);
    return element("div", { class: "label" }, name, element("small"));
}

function makeParts(root) {
    const corner = element("div", { class: "corner" });
    const ticks = drawing("g");
    const axis = drawing("svg", { class: "axis", height: axisHeight, "aria-hidden": "true" }, ticks);
    const hatch = drawing("pattern", { id: `hatch-${root.id}`, class: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        drawing("rect", { width: 6, height: 6 }), drawing("path", { d: "M0 0V6" }));
    const [bands, grid, content] = [drawing("g"), drawing("g"), drawing("g", { class: "content" })];
    const now = drawing("line", { class: "now", y1: 0 });
    const plot = drawing("svg", { class: "plot", tabindex: 0, role: "group" }, drawing("defs", {}, hatch), bands, grid, content, now);
    const labels = element("div", { class: "labels" });
    const empty = element("p", { class: "empty" }, "Nothing has happened in this time.");
    root.append(element("div", { class: "axis-row" }, corner, axis), element("div", { class: "body" }, labels, plot, empty));
    return { hatch: hatch.id, corner, ticks, bands, grid, content, now, plot, labels, empty };
}

export const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

const sum = (items, of) => items.reduce((total, item) => total + of(item), 0);
