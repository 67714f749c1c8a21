// From the audience to the phone: each step with its count, its share of the audience and of the step before.

import { inGroup } from "./buckets.js";
import { rangeBar } from "./bar.js";
import { section } from "./section.js";
import { h, setText } from "./dom.js";
import { explained } from "./explain.js";
import { count, ratio, share } from "./format.js";
import { ofAudience } from "./glossary.js";

const STEPS = [
  ["audience", ({ counts }) => counts.requested],
  ["answered", ({ counts }) => counts.requested - counts.queued - inGroup(counts, "withheld")],
  ["sent", ({ rates }) => rates.acceptance.numerator],
  ["carrier", ({ rates }) => rates.delivery_confirmed.denominator],
  ["receipt", ({ rates }) => rates.receipt_coverage.numerator],
  ["delivered", ({ counts }) => counts.delivered],
];

export function funnel() {
  const rows = STEPS.map(([name, number]) => {
    const bar = rangeBar(`step step-${name}`);
    const cells = [0, 1, 2].map(() => h("td", { class: "number" }));
    cells[0].dataset.number = `funnel.${name}`;
    const node = h("tr", {}, h("th", { scope: "row" }, explained(ofAudience(name)), bar.node), cells);
    return { node, bar, cells, number };
  });
  const table = h("table", { class: "funnel" }, h("caption", { class: "unseen" }, "From the audience to the phone"),
    h("thead", {}, h("tr", {}, ["Step", "Messages", "of audience", "of step before"].map((text, place) => h("th", { scope: "col", class: place ? "number" : "" }, text)))),
    h("tbody", {}, rows.map((row) => row.node)));
  function update(campaign) {
    let before = null;
    for (const { bar, cells, number } of rows) {
      const value = number(campaign);
      const part = ratio(value, campaign.counts.requested);
      bar.update(part);
      setText(cells[0], count(value));
      setText(cells[1], share(part));
      setText(cells[2], before === null ? "" : share(ratio(value, before)));
      before = value;
    }
  }
  return { node: section("Funnel", table), update };
}
