// The stacked bar of a campaign's buckets. Widths are shares of the audience; a bucket that is not empty is always seen.

import { ORDER } from "./buckets.js";
import { h, setAttribute } from "./dom.js";
import { count, ratio, share } from "./format.js";
import { term } from "./glossary.js";

/** {node, update(counts)}; `extra`: further classes. */
export function bucketBar(extra = "") {
  const parts = new Map(ORDER.map((bucket) => [bucket, h("span", { class: "part", data: { bucket } })]));
  const node = h("div", { class: `bar ${extra}`, role: "img", "aria-label": "no messages so far" }, [...parts.values()]);
  function update(counts) {
    const said = [];
    for (const [bucket, part] of parts) {
      const number = counts[bucket];
      part.hidden = !number;
      part.style.flexGrow = String(number);
      if (number) {
        const text = `${term("buckets", bucket).title} ${count(number)} (${share(ratio(number, counts.requested))})`;
        setAttribute(part, "title", text);
        said.push(text);
      }
    }
    setAttribute(node, "aria-label", said.length ? said.join(", ") : "no messages so far");
  }
  return { node, update };
}

/** A single share as a thin bar: {node, update(from, to)} with 0 ≤ from ≤ to ≤ 1. */
export function rangeBar(extra = "") {
  const sure = h("span", { class: "sure" });
  const open = h("span", { class: "open" });
  const node = h("div", { class: `range ${extra}`, "aria-hidden": "true" }, sure, open);
  function update(from, to = from) {
    sure.style.width = `${(from ?? 0) * 100}%`;
    open.style.width = `${Math.max(0, (to ?? 0) - (from ?? 0)) * 100}%`;
  }
  return { node, update };
}
