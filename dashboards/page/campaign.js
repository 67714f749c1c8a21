// One campaign, from its head to its audit list. Each part is a file with {node, update(campaign)}.

import { accountBanner } from "./account.js";
import { auditList } from "./audit.js";
import { stateBadge } from "./badge.js";
import { bucketBar } from "./bar.js";
import { carriers } from "./carriers.js";
import { announce, h, setText } from "./dom.js";
import { moment } from "./format.js";
import { funnel } from "./funnel.js";
import { term } from "./glossary.js";
import { latencies } from "./latency.js";
import { countedLegend } from "./legend.js";
import { orders } from "./orders.js";
import { Pace } from "./pace.js";
import { quality } from "./quality.js";
import { reasons } from "./reasons.js";
import { recipients } from "./recipients.js";
import { section } from "./section.js";
import { series } from "./series.js";
import { tiles } from "./tiles.js";

export function campaignView(id, session) {
  const pace = new Pace();
  const head = heading(id, session, () => audit.refresh());
  const table = recipients(id);
  const overview = tiles(pace);
  const bar = bucketBar("large");
  const legend = countedLegend((bucket) => table.show(bucket));
  const steps = funnel();
  const chart = series();
  const why = reasons();
  const stages = latencies(id);
  const receipts = quality();
  const byCarrier = carriers();
  const audit = auditList(id, session);
  const account = accountBanner(session);
  const body = h("div", { class: "stack", hidden: true },
    account.node,
    overview.node,
    section("Where every message is", bar.node, legend.node),
    h("div", { class: "columns" }, steps.node, chart.node),
    why.node,
    stages.node,
    h("div", { class: "columns" }, receipts.node, byCarrier.node),
    table.node,
    audit.node);
  const loading = h("div", { class: "skeleton", "aria-label": "Loading" }, h("div"), h("div"), h("div"), h("div"));
  const gone = h("div", { class: "empty", hidden: true, role: "alert" }, h("h2", {}, "There is no such campaign"),
    h("p", {}, "It was never registered here, or its id is another one."), h("a", { href: "#/", class: "button" }, "All campaigns"));
  let before = null;

  function update(campaign) {
    loading.hidden = true;
    body.hidden = false;
    pace.saw(campaign.counts);
    for (const part of [head, overview, legend, bar, steps, chart, why, stages, receipts, byCarrier]) {
      part.update(part === legend || part === bar ? campaign.counts : campaign);
    }
    if (before === null) table.show(null, { quietly: true });
    if (before?.state !== campaign.state) {
      if (before) announce(`The campaign is ${term("states", campaign.state).title.toLowerCase()}`);
      audit.refresh();
      account.refresh();
    }
    before = campaign;
  }

  const ticking = setInterval(() => before && overview.update(before), 1000);
  return {
    node: h("div", { class: "stack" }, head.node, loading, gone, body),
    title: id,
    stream: `/v1/stream?campaign=${encodeURIComponent(id)}`,
    event(kind, data) {
      if (kind !== "campaign") return null;
      update(data);
      return data.as_of;
    },
    state(state) {
      if (state.name === "gone") {
        loading.hidden = body.hidden = true;
        gone.hidden = false;
      }
      if (state.name !== "live") pace.forget();
      chart.gap();
    },
    close() {
      clearInterval(ticking);
      chart.close();
    },
  };
}

function heading(id, session, onOrder) {
  const name = h("h1", { class: "name" }, id);
  const sub = h("p", { class: "sub" });
  const badge = stateBadge();
  const buttons = orders(id, session, onOrder);
  const node = h("div", { class: "head campaign-head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/" }, "Campaigns")),
    h("div", { class: "line" }, name, badge.node), sub), h("span", { class: "spring" }), buttons.node);
  function update(campaign) {
    setText(name, campaign.name || campaign.campaign_id);
    badge.update(campaign.state);
    const said = [
      campaign.name ? campaign.campaign_id : "",
      campaign.campaign_ref ? `reference ${campaign.campaign_ref}` : "",
      campaign.state_since ? `since ${moment(campaign.state_since)}` : "",
      campaign.state_by ? `by ${campaign.state_by}` : "",
      (campaign.state_reason ?? "").replace(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)/, (at) => moment(at)),
    ];
    setText(sub, said.filter(Boolean).join(" · "));
    buttons.update(campaign);
  }
  return { node, update };
}
