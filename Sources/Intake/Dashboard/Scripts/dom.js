// Makes elements. What comes from elsewhere becomes text or an attribute's value, and is never read as markup.

const svgNamespace = "http://www.w3.org/2000/svg";
const nodesOf = new WeakMap();

/** Where all pages are: a proxy may have them under a path of its own. */
const root = new URL("../", import.meta.url).pathname;

/** The address of a page, or of something of the API, which begins with a slash. */
export const address = (path) => root + path.slice(1);

export const byID = (id) => document.getElementById(id);

/** An element with attributes and children; a function is a listener, null leaves an attribute or a child out. */
export function element(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}

/** As `element`, for the inside of an SVG. */
export function drawing(name, attributes = {}, ...children) {
    return fill(document.createElementNS(svgNamespace, name), attributes, children);
}

function fill(node, attributes, children) {
    set(node, attributes);
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
}

/** Changes attributes, those that differ. */
export function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") node.addEventListener(name, value);
        else if (value === null || value === undefined || value === false) node.removeAttribute(name);
        else {
            const text = value === true ? "" : String(value);
            if (node.getAttribute(name) !== text) node.setAttribute(name, text);
        }
    }
    return node;
}

/** Changes a node's text, if it differs: a selection and a screen reader are left alone otherwise. */
export function say(node, text) {
    const string = String(text ?? "");
    if (node.textContent !== string) node.textContent = string;
    return node;
}

export function show(node, isShown) {
    if (node.hidden === isShown) node.hidden = !isShown;
    return node;
}

/**
 * Makes a node's children those of `items`, in their order. A child is kept while its item's key is there, so that
 * focus, hover and selection last.
 */
export function reconcile(parent, items, keyOf, make, update) {
    const old = nodesOf.get(parent) ?? new Map();
    const nodes = new Map();
    let place = parent.firstChild;
    for (const item of items) {
        const key = keyOf(item);
        const node = old.get(key) ?? make(item);
        old.delete(key);
        nodes.set(key, node);
        update?.(node, item);
        if (node === place) place = place.nextSibling;
        else parent.insertBefore(node, place);
    }
    for (const node of old.values()) node.remove();
    nodesOf.set(parent, nodes);
}

/**
 * A row of a table: its cells are of the kinds of the headings above them, which narrow windows show beside each
 * cell.
 */
export function row(body, ...contents) {
    const headings = body.closest("table").tHead.rows[0].cells;
    return element("tr", {}, contents.map((content, index) =>
        element("td", { class: headings[index].className || null, "data-label": headings[index].textContent },
            content)));
}

export const jobPath = (job) => address(`/jobs/${job}`);

export const jobLink = (job) => element("a", { href: jobPath(job) }, String(job));

export const keyPath = (key) => address(`/keys/${encodeURIComponent(key)}`);

/** What the address of a page ends with: a key, or the number of a job; null when that is no text. */
export function pageName() {
    try {
        return decodeURIComponent(location.pathname.split("/").pop());
    } catch {
        return null;
    }
}

export const keyLink = (key) => element("a", { href: keyPath(key), class: "key", title: key }, key);
