// Who did what to this campaign, and when.

import { get } from "./api.js";
import { section } from "./section.js";
import { h, Keyed, setText } from "./dom.js";
import { count, moment, words } from "./format.js";

const WHAT = {
  "campaign-registered": "registered the campaign",
  "batch-registered": "handed in messages",
  "campaign-paused": "paused the campaign",
  "campaign-resumed": "resumed the campaign",
  "campaign-cancelled": "cancelled the campaign",
  "doubt-resolved": "decided a doubt",
  "rate-set": "set the rate",
  "republish-asked": "asked for the numbers to be published again",
};

export function auditList(id, session) {
  const body = h("tbody");
  const rows = new Keyed(body, (_, entry) => ({ node: entryRow(entry, session), update() {} }));
  const none = h("p", { class: "empty-line", hidden: true }, "Nobody has done anything so far.");
  const more = h("button", { type: "button", hidden: true }, "Older entries");
  let entries = [];
  let cursor = null;

  function show() {
    rows.update(entries.map((entry, place) => [`${entry.at} ${entry.what} ${entry.message_id ?? ""} ${entries.length - place}`, entry]));
    none.hidden = entries.length > 0;
    more.hidden = cursor === null;
  }
  async function page(from) {
    const path = `/v1/audit?campaign=${encodeURIComponent(id)}&limit=20${from ? `&cursor=${encodeURIComponent(from)}` : ""}`;
    const found = await get(path);
    entries = from ? [...entries, ...found.items] : found.items;
    cursor = found.next_cursor;
    show();
  }
  more.addEventListener("click", () => page(cursor));
  const table = h("table", { class: "audit", id: "audit" }, h("caption", { class: "unseen" }, "Audit list"),
    h("thead", {}, h("tr", {}, ["When", "Who", "What", "Why"].map((text) => h("th", { scope: "col" }, text)))), body);
  return { node: section("Who did what", none, table, h("div", { class: "tools" }, more)), refresh: () => page(null).catch(() => {}) };
}

function entryRow(entry, session) {
  const what = WHAT[entry.what] ?? words(entry.what);
  const facts = [
    entry.rows ? `${count(entry.rows)} rows` : "",
    entry.resolution ? `as ${entry.resolution}` : "",
    entry.automatic ? "by itself" : "",
    entry.per_second ? `${entry.per_second} a second` : "",
    entry.message_id ?? "",
  ].filter(Boolean).join(" · ");
  const by = h("td", {}, entry.by ?? "–");
  if (entry.by && entry.by === session?.by) by.append(" ", h("span", { class: "muted" }, "(you)"));
  const said = h("td", {}, what);
  if (facts) said.append(h("span", { class: "sub" }, facts));
  return h("tr", { data: { what: entry.what } }, h("td", { class: "when" }, h("time", { datetime: entry.at, title: entry.at }, moment(entry.at))), by, said, h("td", {}, entry.reason || entry.note || ""));
}
