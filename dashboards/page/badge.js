// Small labels: a campaign's state, a message's bucket.

import { h, setText } from "./dom.js";
import { term } from "./glossary.js";

/** A campaign's state: {node, update(state)}. */
export function stateBadge() {
  const text = h("span");
  const node = h("span", { class: "badge" }, h("span", { class: "dot", "aria-hidden": "true" }), text);
  function update(state) {
    node.dataset.state = state;
    node.title = term("states", state).definition;
    setText(text, term("states", state).title);
  }
  return { node, update };
}

/** A bucket with its colour. */
export function bucketChip(bucket) {
  const name = term("buckets", bucket);
  return h("span", { class: "chip", title: name.definition }, h("span", { class: "swatch", data: { bucket }, "aria-hidden": "true" }), name.title);
}
