// How numbers and times are written.

import { element } from "./dom.js";

const counts = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });

export const count = (number) => counts.format(number);

export const clockTime = (milliseconds) => clock.format(milliseconds);

export const dayOf = (milliseconds) => day.format(milliseconds);

/** A length of time, to two figures or so: "850 ms", "3.2 s", "4 min 5 s". */
export function duration(milliseconds) {
    if (milliseconds === null || milliseconds === undefined || Number.isNaN(milliseconds)) return "–";
    const seconds = Math.abs(milliseconds) / 1000;
    if (seconds === 0) return "0 s";
    if (seconds < 0.001) return `${Math.round(milliseconds * 1000)} µs`;
    if (seconds < 1) return `${Math.round(milliseconds)} ms`;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const whole = Math.floor(seconds);
    if (seconds < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    if (seconds < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
    return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const micros = (microseconds) => duration(microseconds === undefined ? undefined : microseconds / 1000);

/** A moment of the API as an element: the time, with the day where it is another. */
export function moment(text) {
    if (!text) return document.createTextNode("–");
    const at = Date.parse(text);
    const shown = day.format(at) === day.format(Date.now()) ? clock.format(at) : dayAndClock.format(at);
    return element("time", { datetime: text, title: text }, shown);
}

/** What a rate is called: whole above ten, one digit below. */
export function rate(perSecond) {
    if (perSecond >= 10) return count(Math.round(perSecond));
    return perSecond === 0 ? "0" : perSecond.toFixed(1);
}
