// The campaigns: search, sorting, shares of the buckets, and the choice of several to compare.

import { accountBanner } from "./account.js";
import { get } from "./api.js";
import { stateBadge } from "./badge.js";
import { bucketBar } from "./bar.js";
import { inGroup } from "./buckets.js";
import { announce, h, Keyed, setText } from "./dom.js";
import { downloads } from "./downloads.js";
import { explained } from "./explain.js";
import { count, moment, ratio, share } from "./format.js";
import { ofAudience, term } from "./glossary.js";
import { legend } from "./legend.js";

const SHOWN = 100;
const FIRST = 200; // campaigns that are here from the start, or come with a search
const SETTLED = 300; // ms without another key
const LONGEST = 128; // characters that the server searches for
const LARGEST_PAGE = 1000;
const SORTS = {
  // label, the order here (least first; null: as it comes), the order that the server is asked for besides
  newest: ["Newest first", null],
  name: ["Name", (c) => (c.name || c.campaign_id).toLowerCase(), "name"],
  audience: ["Largest audience", (c) => -c.counts.requested, "requested"],
  delivered: ["Lowest delivery", (c) => ratio(c.counts.delivered, c.counts.requested) ?? 2, "delivery"],
  failed: ["Most failed", (c) => -(ratio(inGroup(c.counts, "failed"), c.counts.requested) ?? -1), "failed"],
  in_doubt: ["Most in doubt", (c) => -c.counts.in_doubt, "in_doubt"],
  state: ["State", (c) => ORDER_OF_STATES.indexOf(c.state)],
};
const ORDER_OF_STATES = ["halted", "paused", "running", "scheduled", "finished", "closed", "cancelled"];
const remembered = { search: "", sort: "newest", shown: SHOWN, chosen: new Set() };

export function listView(session) {
  const known = new Map(); // id → campaign: the newest as the server has them, then what was asked for besides
  let cursor = null;
  const parts = build();
  const account = accountBanner(session);
  let states = null;
  parts.node.prepend(account.node);
  const rows = new Keyed(parts.body, (id) => row(id, parts.chosenChanged));

  function render() {
    const words = remembered.search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...known.values()].filter((c) => {
      const text = `${c.campaign_id} ${c.name ?? ""} ${c.campaign_ref ?? ""} ${c.state}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const key = SORTS[remembered.sort][1];
    if (key) found.sort((one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0));
    const shown = found.slice(0, remembered.shown);
    rows.update(shown.map((c) => [c.campaign_id, c]));
    parts.more.hidden = found.length <= shown.length;
    parts.older.hidden = cursor === null;
    setText(parts.count, counted(found.length, known.size, cursor !== null));
    parts.table.hidden = !found.length;
    parts.nothing.hidden = known.size > 0;
    parts.unfound.hidden = found.length > 0 || known.size === 0;
    parts.downloads.node.hidden = known.size === 0;
    parts.loading.hidden = true;
    const now = [...known.values()].map((c) => c.state).join();
    if (now !== states) account.refresh();
    states = now;
  }

  function take(campaigns, { first }) {
    const before = [...known];
    if (first) known.clear();
    for (const c of campaigns) known.set(c.campaign_id, c);
    if (first) for (const [id, c] of before) if (!known.has(id)) known.set(id, c);
    render();
  }

  async function older() {
    parts.older.disabled = true;
    try {
      const page = await get(`/v1/campaigns?limit=${LARGEST_PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      cursor = page.next_cursor;
      take(page.items, { first: false });
    } finally {
      parts.older.disabled = false;
    }
  }

  // Of many campaigns only the newest are here: what fits the search, or leads in the order, is asked for.
  let waiting = null;
  async function besides() {
    const query = wanted();
    if (cursor === null || query === null) return;
    try {
      take((await get(`/v1/campaigns?${query}`)).items, { first: false });
    } catch { /* the list shows what it has, and the badge how the line is */ }
  }

  parts.onSearch = () => {
    remembered.shown = SHOWN;
    render();
    announce(parts.count.textContent);
    clearTimeout(waiting);
    waiting = setTimeout(besides, SETTLED);
  };
  parts.older.addEventListener("click", older);
  parts.more.addEventListener("click", () => { remembered.shown += SHOWN; render(); });
  get(`/v1/campaigns?limit=${FIRST}`).then((page) => { cursor = page.next_cursor; take(page.items, { first: true }); return besides(); }, () => {});
  return {
    node: parts.node,
    title: "Campaigns",
    stream: "/v1/stream",
    event(kind, data) {
      if (kind === "campaigns") take(data, { first: true });
      return data.reduce?.((newest, c) => (c.as_of > newest ? c.as_of : newest), "");
    },
  };
}

/** What the server is asked for besides the newest; null: nothing. */
function wanted() {
  const words = remembered.search.toLowerCase().split(/\s+/).filter(Boolean);
  const states = words.filter((word) => ORDER_OF_STATES.includes(word));
  const text = words.filter((word) => !states.includes(word)).reduce((longest, word) => (word.length > longest.length ? word : longest), "");
  const sort = SORTS[remembered.sort][2];
  if (!words.length && !sort) return null;
  const named = { ...(sort ? { sort } : {}), ...(text ? { q: text.slice(0, LONGEST) } : {}), ...(states.length === 1 ? { state: states[0] } : {}) };
  return new URLSearchParams({ limit: FIRST, ...named });
}

function counted(found, all, older) {
  const loaded = older ? ` of ${count(all)} loaded` : found < all ? ` of ${count(all)}` : "";
  return `${count(found)}${loaded} ${all === 1 && !older ? "campaign" : "campaigns"}`;
}

function build() {
  const parts = { body: h("tbody"), count: h("span", { class: "muted", role: "status" }) };
  const search = h("input", { type: "search", placeholder: "Search by id, name, reference or state", "aria-label": "Search campaigns", value: remembered.search, autocomplete: "off", spellcheck: "false" });
  search.addEventListener("input", () => { remembered.search = search.value; parts.onSearch(); });
  const sort = h("select", { "aria-label": "Sort campaigns" }, Object.entries(SORTS).map(([name, [label]]) => h("option", { value: name, selected: name === remembered.sort }, label)));
  sort.addEventListener("change", () => { remembered.sort = sort.value; parts.onSearch(); });
  const compare = h("a", { class: "button", href: "#/", role: "link" }, "Compare");
  parts.chosenChanged = () => {
    const ids = [...remembered.chosen];
    compare.setAttribute("href", `#/compare?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
    compare.classList.toggle("off", ids.length < 2);
    compare.setAttribute("aria-disabled", String(ids.length < 2));
    setText(compare, ids.length < 2 ? "Compare: choose two or more" : `Compare ${ids.length} campaigns`);
  };
  compare.addEventListener("click", (event) => { if (remembered.chosen.size < 2) event.preventDefault(); });
  parts.chosenChanged();
  const head = [
    h("th", { scope: "col" }, h("span", { class: "unseen" }, "Compare")),
    h("th", { scope: "col" }, "Campaign"),
    h("th", { scope: "col" }, "State"),
    h("th", { scope: "col", class: "number" }, explained(term("numbers", "audience"))),
    h("th", { scope: "col", class: "wide" }, "Where its messages are"),
    h("th", { scope: "col", class: "number" }, explained(ofAudience("delivered"))),
    h("th", { scope: "col", class: "number" }, explained(term("numbers", "failed"))),
    h("th", { scope: "col", class: "number" }, explained(term("numbers", "pending"))),
    h("th", { scope: "col", class: "number" }, explained(term("buckets", "in_doubt"))),
  ];
  parts.table = h("table", { class: "campaigns", hidden: true }, h("caption", { class: "unseen" }, "Campaigns"), h("thead", {}, h("tr", {}, head)), parts.body);
  parts.loading = h("div", { class: "skeleton", "aria-label": "Loading" }, h("div"), h("div"), h("div"));
  parts.nothing = h("div", { class: "empty", hidden: true }, h("h2", {}, "No campaigns so far"),
    h("p", {}, "The first messages register a campaign. From a terminal:"),
    h("pre", {}, "sendledger send spring --sender 60856 --text 'Hello' --recipients people.csv"));
  parts.unfound = h("p", { class: "empty", hidden: true }, "No campaign fits the search.");
  parts.downloads = downloads("/v1/export/campaigns", "the numbers of all campaigns");
  parts.more = h("button", { type: "button", hidden: true }, "Show more");
  parts.older = h("button", { type: "button", hidden: true }, "Load older campaigns");
  parts.node = h("section", { class: "stack" },
    h("div", { class: "head" }, h("h1", {}, "Campaigns"), parts.count, h("span", { class: "spring" }), compare),
    h("div", { class: "tools" }, search, sort, h("span", { class: "spring" }), parts.downloads.node),
    legend(),
    h("div", { class: "card flush" }, parts.loading, parts.table, parts.nothing, parts.unfound),
    h("div", { class: "tools" }, parts.more, parts.older));
  return parts;
}

function row(id, chosenChanged) {
  const link = h("a", { href: `#/campaign/${encodeURIComponent(id)}` });
  const sub = h("span", { class: "sub" });
  const state = stateBadge();
  const bar = bucketBar("mini");
  const cell = () => h("td", { class: "number" });
  const [audience, delivered, failed, pending, doubt] = [cell(), cell(), cell(), cell(), cell()];
  const box = h("input", { type: "checkbox", "aria-label": `Compare ${id}`, checked: remembered.chosen.has(id) });
  box.addEventListener("change", () => {
    remembered.chosen[box.checked ? "add" : "delete"](id);
    chosenChanged();
  });
  const labelled = [[audience, "Audience"], [delivered, "Delivered"], [failed, "Failed"], [pending, "Pending"], [doubt, "In doubt"]];
  for (const [node, label] of labelled) node.dataset.label = label;
  const node = h("tr", { data: { campaign: id } }, h("td", { class: "choose" }, box), h("th", { scope: "row" }, link, sub),
    h("td", { class: "state" }, state.node), audience, h("td", { class: "wide" }, bar.node), delivered, failed, pending, doubt);
  function update(c) {
    setText(link, c.name || c.campaign_id);
    setText(sub, [c.name ? c.campaign_id : "", c.state_since ? `since ${moment(c.state_since)}` : ""].filter(Boolean).join(" · "));
    state.update(c.state);
    bar.update(c.counts);
    const of = (number) => share(ratio(number, c.counts.requested));
    setText(audience, count(c.counts.requested));
    setText(delivered, of(c.counts.delivered));
    setText(failed, of(inGroup(c.counts, "failed")));
    setText(pending, of(inGroup(c.counts, "pending")));
    setText(doubt, count(c.counts.in_doubt));
    doubt.classList.toggle("warn", c.counts.in_doubt > 0);
  }
  return { node, update };
}
