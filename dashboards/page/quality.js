// How far the receipts can be trusted.

import { section } from "./section.js";
import { h, Keyed, setText } from "./dom.js";
import { explained } from "./explain.js";
import { count, duration, moment, ratio, share } from "./format.js";
import { term } from "./glossary.js";

const NAMES = ["duplicates", "orphans", "conflicted", "late"];
const OF_RECEIPTS = new Set(["conflicted", "late"]);

export function quality() {
  const numbers = NAMES.map((name) => row(name, explained(term("quality", name))));
  const coverage = row("receipt_coverage", explained(term("rates", "receipt_coverage")));
  const matured = row("matured_24h", explained(term("rates", "matured_24h")));
  const resolved = row("delivery_resolved", explained(term("rates", "delivery_resolved")));
  const gaps = h("ul", { class: "plain" });
  const rows = new Keyed(gaps, () => {
    const node = h("li");
    return { node, update: (gap) => setText(node, `${moment(gap.from)} to ${moment(gap.to)}, ${duration((Date.parse(gap.to) - Date.parse(gap.from)) / 1000)} (${gap.receiver})`) };
  });
  const none = h("p", { class: "muted" }, "None: postbacks were listened for all the time.");

  function update(campaign) {
    const receipts = campaign.rates.receipt_coverage;
    for (const { name, cells } of numbers) {
      const value = campaign.quality[name];
      setText(cells[0], count(value));
      setText(cells[1], OF_RECEIPTS.has(name) ? share(ratio(value, receipts.numerator)) : "");
    }
    for (const { name, cells } of [coverage, matured, resolved]) {
      const rate = campaign.rates[name];
      setText(cells[0], `${count(rate.numerator)} of ${count(rate.denominator)}`);
      setText(cells[1], share(rate.value));
    }
    rows.update(campaign.receiver_gaps.map((gap) => [`${gap.from} ${gap.receiver}`, gap]));
    none.hidden = campaign.receiver_gaps.length > 0;
  }
  const table = h("table", {}, h("caption", { class: "unseen" }, "Quality of the receipts"),
    h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, "What"), h("th", { scope: "col" }, "Number"), h("th", { scope: "col" }, "Share"))),
    h("tbody", {}, [coverage, resolved, matured, ...numbers].map((each) => each.node)));
  return { node: section("Receipts", table, h("h3", {}, explained(term("quality", "receiver_gaps"))), none, gaps), update };
}

function row(name, label) {
  const cells = [h("td", { class: "number", data: { number: `quality.${name}` } }), h("td", { class: "number muted" })];
  return { name, cells, node: h("tr", {}, h("th", { scope: "row" }, label), cells) };
}
