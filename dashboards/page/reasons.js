// Why messages failed, the most frequent first, in plain words: what it means, what to do, whether again helps.

import { section } from "./section.js";
import { h, Keyed, setText } from "./dom.js";
import { count, ratio, share } from "./format.js";
import { AGAIN, onCode, onDetail, onDoubt } from "./glossary.js";
import { rangeBar } from "./bar.js";

export function reasons() {
  const failed = ranking("Failed", "of all failed messages");
  const doubt = ranking("In doubt", "of all messages in doubt");
  const slowed = ranking("Slowed down, not failed", "of all throttled calls");
  const none = h("p", { class: "empty-line" }, "Nothing has failed.");

  function update(campaign) {
    failed.update([
      ...entries("rejected", campaign.error_codes, onCode, "rejected by the provider"),
      ...entries("undelivered", campaign.details, onDetail, "not delivered, says the receipt"),
    ]);
    doubt.update(entries("in_doubt", campaign.doubt_reasons, onDoubt, "no usable answer"));
    slowed.update(entries("queued", campaign.throttled_codes, onCode, "calls, tried again by themselves"));
    none.hidden = !failed.node.hidden;
  }
  return { node: section("Reasons", none, failed.node, doubt.node, slowed.node), update };
}

function entries(bucket, numbers, advice, kind) {
  return Object.entries(numbers ?? {}).filter(([, number]) => number > 0)
    .map(([code, number]) => ({ bucket, code, number, advice: advice(code), kind }));
}

function ranking(title, of) {
  const body = h("ol", { class: "reasons" });
  const total = h("span", { class: "muted" });
  const node = h("div", { hidden: true }, h("h3", {}, title, " ", total), body);
  const rows = new Keyed(body, (_, entry) => reason(entry));
  function update(found) {
    const all = found.reduce((sum, each) => sum + each.number, 0);
    found.sort((one, other) => other.number - one.number || (one.code < other.code ? -1 : 1));
    rows.update(found.map((each) => [`${each.bucket} ${each.code}`, { ...each, all, of }]));
    setText(total, count(all));
    node.hidden = !found.length;
  }
  return { node, update };
}

function reason({ bucket, code, advice, kind }) {
  const number = h("span", { class: "many number", data: { number: `${bucket}.${code}` } });
  const part = h("span", { class: "muted number" });
  const bar = rangeBar(`in-${bucket}`);
  const again = h("span", { class: `again again-${advice.again}` }, AGAIN[advice.again]);
  const node = h("li", {},
    h("div", { class: "amount" }, number, part, bar.node),
    h("div", { class: "what" }, h("p", {}, h("strong", {}, advice.title), " ", h("code", {}, code), " ", h("span", { class: "muted" }, kind)),
      h("p", {}, advice.meaning),
      h("p", { class: "todo" }, advice.action, " ", again)));
  function update(entry) {
    setText(number, count(entry.number));
    setText(part, share(ratio(entry.number, entry.all)));
    part.title = entry.of;
    bar.update(ratio(entry.number, entry.all));
  }
  return { node, update };
}
