// The recipients of a campaign, page by page; the list stands still while one reads it, and is read anew when asked.

import { campaignPath, get } from "./api.js";
import { bucketChip } from "./badge.js";
import { ORDER } from "./buckets.js";
import { announce, h, setText } from "./dom.js";
import { downloads } from "./downloads.js";
import { count, moment } from "./format.js";
import { term } from "./glossary.js";
import { openMessage } from "./message.js";
import { section } from "./section.js";
import { why } from "./why.js";

const SIZE = 25;

export function recipients(id) {
  const filter = h("select", { id: "recipient-bucket" }, h("option", { value: "" }, "All buckets"), ORDER.map((bucket) => h("option", { value: bucket }, term("buckets", bucket).title)));
  const again = h("button", { type: "button" }, "Read anew");
  const previous = h("button", { type: "button", disabled: true }, "Previous");
  const next = h("button", { type: "button", disabled: true, id: "recipients-next" }, "Next");
  const where = h("span", { class: "muted", role: "status" });
  const files = downloads(`${campaignPath(id)}/export`, "these messages");
  const body = h("tbody");
  const said = h("p", { class: "empty-line" }, "Loading …");
  const table = h("table", { class: "recipients", id: "recipients", hidden: true }, h("caption", { class: "unseen" }, "Recipients"),
    h("thead", {}, h("tr", {}, ["Number", "Bucket", "Why", "Attempts", "Requested", "Last change", ""].map((text, place) => h("th", { scope: "col", class: place === 3 ? "number" : "" }, text || h("span", { class: "unseen" }, "Timeline"))))), body);
  const node = section("Recipients", h("p", { class: "muted" }, "Numbers are masked to their last three digits. The list shows one moment; it does not move by itself. ", files.node),
    h("div", { class: "tools" }, h("label", { for: "recipient-bucket" }, "Bucket"), filter, again, h("span", { class: "spring" }), where, previous, next), said, h("div", { class: "scroll-x" }, table));
  let cursors = [null]; // of the pages up to this one
  let following = null;

  async function read() {
    const bucket = filter.value;
    files.show(bucket ? { bucket } : {});
    const cursor = cursors.at(-1);
    const query = new URLSearchParams({ limit: SIZE, ...(bucket ? { bucket } : {}), ...(cursor ? { cursor } : {}) });
    node.setAttribute("aria-busy", "true");
    try {
      const page = await get(`${campaignPath(id)}/messages?${query}`);
      following = page.next_cursor;
      body.replaceChildren(...page.items.map(row));
      table.hidden = !page.items.length;
      said.hidden = page.items.length > 0;
      setText(said, bucket ? `Nobody is in “${term("buckets", bucket).title}”.` : "No messages so far.");
      const first = (cursors.length - 1) * SIZE + 1;
      setText(where, page.items.length ? `${count(first)}–${count(first + page.items.length - 1)}, as of ${moment(new Date())}` : `as of ${moment(new Date())}`);
    } catch (error) {
      said.hidden = false;
      setText(said, `The recipients cannot be read: ${error.message}.`);
    } finally {
      node.removeAttribute("aria-busy");
      previous.disabled = cursors.length === 1;
      next.disabled = following === null;
    }
  }

  const first = () => { cursors = [null]; return read(); };
  filter.addEventListener("change", first);
  again.addEventListener("click", first);
  next.addEventListener("click", () => { cursors.push(following); read(); });
  previous.addEventListener("click", () => { cursors.pop(); read(); });
  return {
    node,
    /** Show a bucket (null: all), and come into view unless quietly. */
    show(bucket, { quietly = false } = {}) {
      filter.value = bucket ?? "";
      first();
      if (quietly) return;
      node.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
      filter.focus({ preventScroll: true });
      announce(`Recipients: ${bucket ? term("buckets", bucket).title : "all"}`);
    },
  };
}

/** When it last changed, as far as its state tells. */
export function lastChange(message) {
  return [message.settled_at, message.sent_at, message.responded_at, message.doubt_since, message.attempted_at, message.requested_at]
    .filter(Boolean).reduce((latest, at) => (at > latest ? at : latest));
}

function row(message) {
  const open = h("button", { type: "button", class: "link", data: { message: message.message_id }, "aria-label": `Timeline of the message to ${message.to}` }, "Timeline");
  open.addEventListener("click", () => openMessage(message.message_id));
  const cells = [
    ["Number", h("span", { class: "masked" }, message.to)],
    ["Bucket", bucketChip(message.bucket)],
    ["Why", why(message)],
    ["Attempts", count(message.attempts)],
    ["Requested", moment(message.requested_at)],
    ["Last change", moment(lastChange(message))],
    ["", open],
  ];
  return h("tr", {}, cells.map(([label, content], place) => h("td", { class: place === 3 ? "number" : "", data: { label } }, content)));
}
