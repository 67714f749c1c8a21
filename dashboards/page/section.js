// A part of a page: a card with its title.

import { h } from "./dom.js";

export function section(title, ...children) {
  return h("section", { class: "card", "aria-label": title }, h("h2", {}, title), ...children);
}
