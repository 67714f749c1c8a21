// The buckets by carrier, as far as requests or postbacks name one.

import { bucketBar } from "./bar.js";
import { ORDER } from "./buckets.js";
import { section } from "./section.js";
import { h, Keyed, setText } from "./dom.js";
import { count, ratio, share } from "./format.js";

const SHOWN = 12;

export function carriers() {
  const body = h("tbody");
  const rows = new Keyed(body, carrier);
  const none = h("p", { class: "empty-line" }, "No message names its carrier (operator id) so far.");
  const more = h("p", { class: "muted" });
  const table = h("table", {}, h("caption", { class: "unseen" }, "Messages by carrier"),
    h("thead", {}, h("tr", {}, ["Carrier", "Messages", "", "Delivered"].map((text, place) => h("th", { scope: "col", class: place === 1 || place === 3 ? "number" : "" }, text || h("span", { class: "unseen" }, "Buckets"))))), body);
  function update(campaign) {
    const found = Object.entries(campaign.by_operator).map(([id, some]) => {
      const counts = Object.fromEntries(ORDER.map((bucket) => [bucket, some[bucket] ?? 0]));
      return [id, { ...counts, requested: Object.values(counts).reduce((sum, number) => sum + number, 0) }];
    }).filter(([, counts]) => counts.requested > 0).sort(([, one], [, other]) => other.requested - one.requested);
    rows.update(found.slice(0, SHOWN));
    setText(more, found.length > SHOWN ? `and ${count(found.length - SHOWN)} smaller ones` : "");
    table.hidden = !found.length;
    none.hidden = found.length > 0;
  }
  return { node: section("By carrier", none, table, more), update };
}

function carrier(id) {
  const bar = bucketBar("mini");
  const [all, delivered] = [h("td", { class: "number" }), h("td", { class: "number" })];
  const node = h("tr", {}, h("th", { scope: "row" }, id), all, h("td", { class: "wide" }, bar.node), delivered);
  function update(counts) {
    setText(all, count(counts.requested));
    setText(delivered, share(ratio(counts.delivered, counts.requested)));
    bar.update(counts);
  }
  return { node, update };
}
