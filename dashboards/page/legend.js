// The colours of the buckets, each with its name and explanation.

import { ORDER } from "./buckets.js";
import { h, setText } from "./dom.js";
import { explained } from "./explain.js";
import { count, ratio, share } from "./format.js";
import { term } from "./glossary.js";

const swatch = (bucket) => h("span", { class: "swatch", data: { bucket }, "aria-hidden": "true" });

/** Only the names. */
export function legend() {
  return h("ul", { class: "legend", "aria-label": "Colours" }, ORDER.map((bucket) => h("li", {}, swatch(bucket), explained(term("buckets", bucket)))));
}

/** With counts and shares, each a way to its recipients: {node, update(counts)}. */
export function countedLegend(onBucket) {
  const rows = ORDER.map((bucket) => {
    const number = h("button", { type: "button", class: "link number", data: { number: `counts.${bucket}` } });
    const part = h("span", { class: "muted number" });
    number.addEventListener("click", () => onBucket(bucket));
    return { bucket, number, part, node: h("li", {}, swatch(bucket), explained(term("buckets", bucket)), number, part) };
  });
  function update(counts) {
    for (const { bucket, number, part, node } of rows) {
      setText(number, count(counts[bucket]));
      number.setAttribute("aria-label", `${count(counts[bucket])} ${term("buckets", bucket).title}: show these recipients`);
      setText(part, share(ratio(counts[bucket], counts.requested)));
      node.classList.toggle("none", !counts[bucket]);
    }
  }
  return { node: h("ul", { class: "legend counted" }, rows.map((row) => row.node)), update };
}
