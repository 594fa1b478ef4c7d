// The elements that a timeline is drawn with.

import { drawing, element, jobPath } from "./dom.js";

export const holdHeight = 20;
export const axisHeight = 26;

/** A mark's shape around its middle. */
const shapes = {
    lost: "M-4-4 4 4M4-4-4 4",
    refused: "M-4 0H4",
    overrun: "M0-4.5V1M0 4V4.5",
    rescued: "M-4 0 0-4 4 0M0-4V5",
    waiting: "M-3-4V4M3-4V4",
};

/** A hold's end that is worth a look: a bar in its colour, with a sign for what it was. */
export function capPath(end, x, y) {
    const middle = y + holdHeight / 2;
    if (end === "lost") return `M${x - 4} ${middle - 4}l8 8m0-8l-8 8M${x} ${y}v2M${x} ${y + holdHeight - 2}v2`;
    return `M${x - 1.5} ${y + 1}v${holdHeight - 2}`;
}

export function makeItem(item) {
    const job = item.hold?.job ?? item.wait?.job ?? item.mark?.job;
    const link = { href: job ? jobPath(job) : null, tabindex: -1 };
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

/** How much of a name is shown whatever room there is: names begin alike, and differ at their ends. */
const tail = 4;

export function makeLabel(row, link) {
    const letters = [...row.name];
    const name = element(link ? "a" : "span", { href: link, title: row.name },
        element("span", { class: "start" }, letters.slice(0, -tail).join("")), letters.slice(-tail).join(""));
    return element("div", { class: "label" }, name, element("small"));
}

export function makeParts(root) {
    const corner = element("div", { class: "corner" });
    const ticks = drawing("g");
    const axis = drawing("svg", { class: "axis", height: axisHeight, "aria-hidden": "true" }, ticks);
    const hatch = drawing("pattern", { id: `hatch-${root.id}`, class: "hatch", width: 6, height: 6,
        patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        drawing("rect", { width: 6, height: 6 }), drawing("path", { d: "M0 0V6" }));
    const [bands, grid, content] = [drawing("g"), drawing("g"), drawing("g", { class: "content" })];
    const now = drawing("line", { class: "now", y1: 0 });
    const plot = drawing("svg", { class: "plot", tabindex: 0, role: "group" }, drawing("defs", {}, hatch), bands, grid,
        content, now);
    const labels = element("div", { class: "labels" });
    const empty = element("p", { class: "empty" }, "Nothing has happened in this time.");
    root.append(element("div", { class: "axis-row" }, corner, axis), element("div", { class: "body" }, labels, plot,
        empty));
    return { hatch: hatch.id, corner, ticks, bands, grid, content, now, plot, labels, empty };
}
