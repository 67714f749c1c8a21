// Elements. All text goes in as text nodes: nothing here or anywhere on the page makes markup of a string.

const SVG = "http://www.w3.org/2000/svg";
const KEPT = 4; // announcements: two that come at once must both be heard

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element: h("p", {class: "note", on: {click}, data: {x: 1}}, "text", child, [more]). */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Change an element's text only if it differs, so that selections and readers are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Change an attribute only if it differs; null removes it. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Make `parent`'s children exactly `wanted`, moving as few as can be and keeping the focus where it is. */
export function arrange(parent, wanted) {
  const focused = document.activeElement;
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** Rows that live as long as their key does: make(key) → {node, update(value)}. */
export class Keyed {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.rows = new Map();
  }

  /** entries: [[key, value]] in order. */
  update(entries) {
    const next = new Map();
    for (const [key, value] of entries) {
      const row = this.rows.get(key) ?? this.make(key, value);
      row.update(value);
      next.set(key, row);
    }
    this.rows = next;
    arrange(this.parent, [...next.values()].map((row) => row.node));
  }
}

/** Say something to those who hear the page instead of seeing it. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.append(h("p", {}, text));
  while (announcer.children.length > KEPT) announcer.firstElementChild.remove();
}
