// Several campaigns side by side: the same numbers, the same scale.

import { campaignPath, get } from "./api.js";
import { stateBadge } from "./badge.js";
import { bucketBar, rangeBar } from "./bar.js";
import { inGroup } from "./buckets.js";
import { h, setText } from "./dom.js";
import { explained } from "./explain.js";
import { count, ratio, share } from "./format.js";
import { legend } from "./legend.js";
import { ofAudience, term } from "./glossary.js";

const MOST = 8;
const COUNTS = [
  ["audience", (c) => c.counts.requested],
  ["sent", (c) => c.rates.acceptance.numerator],
  ["delivered", (c) => c.counts.delivered],
  ["failed", (c) => inGroup(c.counts, "failed")],
  ["pending", (c) => inGroup(c.counts, "pending")],
  ["in_doubt", (c) => c.counts.in_doubt],
  ["withheld", (c) => inGroup(c.counts, "withheld")],
  ["unknown", (c) => c.counts.unknown],
];
const RATES = ["acceptance", "delivery_confirmed", "delivery_resolved", "receipt_coverage", "matured_24h"];

export function compareView(asked) {
  const ids = [...new Set(asked)].slice(0, MOST);
  const columns = ids.map(column);
  const rows = [
    h("tr", {}, h("th", { scope: "row" }, "State"), columns.map((each) => h("td", {}, each.state.node))),
    h("tr", {}, h("th", { scope: "row" }, "Buckets"), columns.map((each) => h("td", {}, each.bar.node))),
    h("tr", {}, h("th", { scope: "row" }, explained(term("rates", "delivery_low"), "Delivered, from – to")), columns.map((each) => h("td", { class: "number" }, each.range.node, each.bounds))),
    ...COUNTS.map(([name]) => h("tr", { data: { row: name } }, h("th", { scope: "row" }, explained(ofAudience(name))), columns.map((each) => h("td", { class: "number" }, each.counts[name].number, each.counts[name].part)))),
    ...RATES.map((name) => h("tr", { data: { row: name } }, h("th", { scope: "row" }, explained(term("rates", name))), columns.map((each) => h("td", { class: "number" }, each.rates[name].value, each.rates[name].of)))),
  ];
  const missing = h("p", { class: "notice", hidden: true });
  const table = h("table", { class: "compare", id: "compare" }, h("caption", { class: "unseen" }, "Campaigns side by side"),
    h("thead", {}, h("tr", {}, h("td"), columns.map((each) => h("th", { scope: "col" }, each.link)))), h("tbody", {}, rows));
  const few = h("div", { class: "empty", hidden: ids.length > 1 }, h("h2", {}, "Nothing to compare"), h("p", {}, "Choose two or more campaigns in the list."), h("a", { class: "button", href: "#/" }, "Campaigns"));
  const seen = new Set();

  function take(campaigns) {
    for (const campaign of campaigns) {
      const place = ids.indexOf(campaign.campaign_id);
      if (place < 0) continue;
      seen.add(campaign.campaign_id);
      columns[place].update(campaign);
    }
  }
  for (const id of ids) get(campaignPath(id)).then((campaign) => take([campaign]), (error) => {
    missing.hidden = false;
    setText(missing, `${id} cannot be shown: ${error.message}.`);
  });
  return {
    node: h("div", { class: "stack" }, h("div", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/" }, "Campaigns")), h("h1", {}, "Comparison"))),
      missing, few, ids.length > 1 ? [legend(), h("div", { class: "card scroll-x", tabindex: "0", role: "region", "aria-label": "Comparison" }, table)] : null),
    title: "Comparison",
    stream: "/v1/stream",
    event(kind, data) {
      if (kind !== "campaigns") return null;
      take(data);
      return data.filter((c) => seen.has(c.campaign_id)).reduce((newest, c) => (c.as_of > newest ? c.as_of : newest), "");
    },
  };
}

function column(id) {
  const pair = () => ({ number: h("span"), part: h("span", { class: "sub" }) });
  const counts = Object.fromEntries(COUNTS.map(([name]) => [name, pair()]));
  const rates = Object.fromEntries(RATES.map((name) => [name, { value: h("span"), of: h("span", { class: "sub" }) }]));
  const link = h("a", { href: `#/campaign/${encodeURIComponent(id)}` }, id);
  const [state, bar, range, bounds] = [stateBadge(), bucketBar(), rangeBar(), h("span", { class: "sub" })];
  function update(campaign) {
    setText(link, campaign.name || id);
    state.update(campaign.state);
    bar.update(campaign.counts);
    const { delivery_low: low, delivery_high: high } = campaign.rates;
    range.update(low.value, high.value);
    setText(bounds, low.denominator ? `${share(low.value)} – ${share(high.value)}` : "–");
    for (const [name, number] of COUNTS) {
      setText(counts[name].number, count(number(campaign)));
      setText(counts[name].part, name === "audience" ? "" : share(ratio(number(campaign), campaign.counts.requested)));
    }
    for (const name of RATES) {
      const rate = campaign.rates[name];
      setText(rates[name].value, share(rate.value));
      setText(rates[name].of, rate.denominator ? `${count(rate.numerator)} of ${count(rate.denominator)}` : "");
    }
  }
  return { link, state, bar, range, bounds, counts, rates, update };
}
