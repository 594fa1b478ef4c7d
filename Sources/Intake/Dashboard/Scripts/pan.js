// Moves a plot in time: by pointer, wheel and keys.

import { say, set } from "./dom.js";

/** From which spans one chooses, in milliseconds. */
export const spans = [15_000, 60_000, 300_000, 900_000, 3_600_000];

/**
 * Lets a reader move a plot.
 *
 * @param plot - The plot.
 * @param onMove - Told that another time is shown, or another span.
 */
export function movable(plot, onMove) {
    const surface = plot.plot;
    const move = {
        /** Shows what is later by so many milliseconds; up to now, it is live again. */
        by(milliseconds, now) {
            const end = plot.range.end + milliseconds;
            plot.end = end >= now ? null : end;
            changed();
        },
        to(end) {
            plot.end = end;
            changed();
        },
        zoom(steps) {
            const index = spans.indexOf(plot.span) + steps;
            if (index < 0 || index >= spans.length) return;
            plot.span = spans[index];
            changed();
        },
    };
    const changed = () => {
        plot.draw();
        onMove();
    };

    let drag = null;
    surface.addEventListener("pointerdown", (event) => {
        if (event.button === 0) drag = { x: event.clientX, end: plot.range.end, isMoved: false };
    });
    surface.addEventListener("pointermove", (event) => {
        if (!drag) return;
        const distance = event.clientX - drag.x;
        if (!drag.isMoved && Math.abs(distance) < 5) return;
        if (!drag.isMoved) surface.setPointerCapture(event.pointerId);
        drag.isMoved = true;
        const end = drag.end - distance * (plot.span / surface.clientWidth);
        move.to(end >= plot.now() ? null : end);
    });
    for (const name of ["pointerup", "pointercancel"]) {
        surface.addEventListener(name, () => setTimeout(() => { drag = null; }));
    }
    // What was dragged was not clicked; nor is a link dragged away.
    surface.addEventListener("click", (event) => drag?.isMoved && event.preventDefault(), true);
    surface.addEventListener("dragstart", (event) => event.preventDefault());
    surface.addEventListener("wheel", (event) => {
        const across = event.shiftKey ? event.deltaY : event.deltaX;
        if (Math.abs(across) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
        event.preventDefault();
        move.by(across * (plot.span / surface.clientWidth), plot.now());
    }, { passive: false });
    surface.addEventListener("keydown", (event) => {
        const act = {
            ArrowLeft: () => move.by(-plot.span / 8, plot.now()),
            ArrowRight: () => move.by(plot.span / 8, plot.now()),
            ArrowUp: () => step(surface, -1),
            ArrowDown: () => step(surface, 1),
            "+": () => move.zoom(-1),
            "=": () => move.zoom(-1),
            "-": () => move.zoom(1),
            l: () => move.to(null),
            L: () => move.to(null),
            Escape: () => surface.focus(),
        }[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        act();
    });
    return move;
}

/** Goes from the bar that has the focus to the next one: by row, and in a row by time. */
function step(surface, direction) {
    const bars = [...surface.querySelectorAll(".content a")].map((node) =>
        ({ node, box: node.getBoundingClientRect() }));
    const frame = surface.getBoundingClientRect();
    const seen = bars.filter(({ box }) => box.right > frame.left && box.left < frame.right)
        .sort((a, b) => Math.round((a.box.top - b.box.top) / 4) || a.box.left - b.box.left);
    const index = seen.findIndex(({ node }) => node === document.activeElement);
    const next = index < 0 ? (direction > 0 ? 0 : seen.length - 1) : index + direction;
    seen[Math.max(0, Math.min(seen.length - 1, next))]?.node.focus();
}

/** Says in a line of text what is pointed at, or has the focus. */
export function describe(plot, line) {
    const first = line.textContent;
    for (const name of ["pointerover", "focusin"]) {
        plot.plot.addEventListener(name, (event) => {
            const bar = event.target.closest(".content a");
            if (bar) set(say(line, bar.getAttribute("aria-label")), { class: "detail told" });
        });
    }
    plot.plot.addEventListener("pointerleave", () => set(say(line, first), { class: "detail" }));
}
