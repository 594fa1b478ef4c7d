// Draws a timeline: rows down, time across, as SVG.

import { drawing, reconcile, say, set } from "./dom.js";
import { clockTime, dayOf, duration } from "./format.js";
import { axisHeight, capPath, holdHeight, makeItem, makeLabel, makeParts } from "./parts.js";
import { endOf, Lanes, rowsOf } from "./rows.js";

const paddingTop = 8;
const laneHeight = 8;
const paddingBottom = 8;
/** Between the ticks of the axis, in milliseconds. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400].map((seconds) => seconds * 1000);
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

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
    #lanes = new Lanes();
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
    constructor(root, model, options = {}) {
        const { rowOf = (item) => item.key, linkOf = () => null, mostRows = 40, onDraw = () => {} } = options;
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
        const { rows, hidden } = rowsOf(this.#model, {
            start, end, scale, filter: this.filter, rowOf: this.#rowOf, mostRows: this.#mostRows,
        });
        this.hidden = hidden;
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

    /** Places the rows, and the waits in lanes below the hold that they wait for. */
    #drawRows(rows) {
        let y = 0;
        for (const row of rows) {
            const busy = this.#lanes.place(row);
            row.y = y;
            row.height = paddingTop + holdHeight + (busy.length ? 4 + busy.length * laneHeight : 0) + paddingBottom;
            y += row.height;
        }
        this.#lanes.prune();
        const { plot, labels, bands, empty, now } = this.#parts;
        const height = Math.max(y, 56);
        set(plot, { height });
        labels.style.height = `${height}px`;
        set(now, { y2: height });
        empty.hidden = rows.length > 0;
        reconcile(bands, rows, (row) => row.name, () => drawing("rect", { class: "band", x: 0, width: "100%" }),
            (node, row) =>
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
        reconcile(this.#parts.grid, ticks, (at) => at, () => drawing("line", { class: "grid", y1: 0, y2: 10_000 }),
            (node, at) =>
            set(node, { x1: this.#x(at).toFixed(2), x2: this.#x(at).toFixed(2) }));
        reconcile(this.#parts.ticks, ticks, (at) => at, (at) => drawing("text", { y: axisHeight - 9 }, clockTime(at)),
            (node, at) =>
            set(node, { x: this.#x(at).toFixed(2) }));
        say(this.#parts.corner, dayOf(end));
    }

    #drawItems(rows) {
        const now = this.#model.now();
        const items = rows.flatMap((row) => {
            const y = row.y + paddingTop;
            const waits = row.waits.map((item) => ({ ...item, y: y + holdHeight + 4 + item.lane * laneHeight }));
            const rest = [...row.marks.filter((item) => item.kind === "foreign"), ...row.holds,
                ...row.marks.filter((item) => item.kind === "mark")];
            const small = row.small.map((holds, worker) => ({ id: `small ${row.name} ${worker}`, kind: "small", holds,
                worker }));
            return [...waits, ...[...small.filter(({ holds }) => holds.length), ...rest].map((item) =>
                ({ ...item, y }))];
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
        const shapes = holds.map(([from, to]) => {
            const x = this.#x(from).toFixed(1);
            return `M${x} ${y}h${Math.max(1, (to - from) * this.#scale).toFixed(1)}v${holdHeight}H${x}z`;
        });
        set(node, { d: shapes.join("") });
    }

    #updateHold(node, { hold, to, from, y }, x, width, now) {
        const isOpen = this.#model.isOpen(hold, now);
        const end = endOf(hold);
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
            `${isOpen ? "held" : "was held"} by ${this.#model.workerName(hold.worker)} `
                + `for ${duration(to - hold.start)} from ${clockTime(hold.start)}`,
            `fence ${hold.fence}`,
        ];
        if (hold.extensions.length) parts.push(`extended ${plural(hold.extensions.length, "time")}`);
        const isTold = !hold.outcome || hold.outcome === hold.endedBy;
        if (hold.endedBy) parts.push(isTold ? hold.endedBy : `${hold.endedBy}: ${hold.outcome}`);
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
        const why = { line: "waited in line", again: "waited to run again",
            foreign: "was kept out by another holder of the lock" };
        if (item.more > 1) return this.#label(node, title, `${item.more} jobs on ${key} waited, job ${job} first`);
        this.#label(node, title,
            `Job ${job} on ${key} ${why[item.kind]} for ${duration(item.to - item.from)} from ${clockTime(item.from)}`);
    }

    #updateMark(node, { mark, y }, x) {
        const [, , title] = node.childNodes;
        set(node, { transform: `translate(${x.toFixed(2)} ${y + holdHeight / 2})` });
        const what = mark.event === "rescued" ? "was put back in line" : "was refused";
        const fence = mark.fence === undefined ? "" : `, fence ${mark.fence}`;
        const why = mark.reason ? `; ${mark.reason}` : "";
        const when = clockTime(mark.moment);
        this.#label(node, title, `Job ${mark.job ?? "–"} on ${mark.key} ${what} at ${when}${fence}${why}`);
    }

    #label(node, title, text) {
        set(node, { "aria-label": text });
        say(title, text);
    }
}

export const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

const sum = (items, of) => items.reduce((total, item) => total + of(item), 0);
