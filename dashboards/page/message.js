// One message: where it is and why, and everything that happened to it, from the events themselves.

import { get } from "./api.js";
import { bucketChip } from "./badge.js";
import { h } from "./dom.js";
import { duration, moment, words } from "./format.js";
import { onCode, onDetail, onDoubt, term } from "./glossary.js";
import { why } from "./why.js";

const CLAIMS = {
  sent: "the carrier has it", delivered: "delivered to the phone", undelivered: "not delivered",
  submit_failed: "no carrier took it", trying: "still trying",
};
const SENTENCES = {
  "send-requested": (s) => `Requested${s.operator_id ? ` for carrier ${s.operator_id}` : ""}`,
  "attempt-started": (s) => `Attempt ${s.attempt}: claimed on the log, then called`,
  "send-accepted": (s) => `Attempt ${s.attempt}: accepted by the provider after ${duration(s.duration_ms / 1000)}`,
  "send-rejected": (s) => `Attempt ${s.attempt}: rejected, ${onCode(s.error_code).title} (${s.error_code})`,
  "send-throttled": (s) => `Attempt ${s.attempt}: too fast for the provider (${s.error_code}), to be tried again at ${moment(s.retry_at)}`,
  "send-not-sent": (s) => `Attempt ${s.attempt}: not sent for certain (${words(s.reason)})`,
  "send-unanswered": (s) => `Attempt ${s.attempt}: no usable answer, ${onDoubt(s.reason).title} (${s.reason})`,
  "send-withheld": (s) => `Withheld: ${words(s.reason)}`,
  "postback-received": (s) => `Postback: ${CLAIMS[s.claim] ?? "says nothing about the message"}${detail(s)}`,
  "doubt-resolved": (s) => `Decided by ${s.by}: ${s.resolution}${s.note ? `, ${s.note}` : ""}`,
};
const SHOWN = new Set(["at", "what", "matched", "topic", "partition", "offset", "attempt"]);

function detail({ claim, detail: name }) {
  if (!name) return "";
  return claim === "undelivered" || claim === "submit_failed" ? `, ${onDetail(name).title} (${name})` : ` (${name})`;
}

export async function openMessage(id) {
  const close = h("button", { type: "button", class: "primary" }, "Close");
  const content = h("div", {}, h("p", { class: "muted" }, "Reading its events …"));
  const dialog = h("dialog", { class: "message", "aria-labelledby": "message-title" }, h("h2", { id: "message-title" }, "Message"), h("p", { class: "muted name" }, id), content, h("div", { class: "tools end" }, close));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  try {
    const message = await get(`/v1/messages/${encodeURIComponent(id)}`);
    content.replaceChildren(state(message), h("h3", {}, "Timeline"), timeline(message.timeline));
  } catch (error) {
    content.replaceChildren(h("p", { class: "error", role: "alert" }, `It cannot be read: ${error.message}.`));
  }
}

function state(message) {
  const facts = [
    ["Now", [bucketChip(message.bucket), " ", why(message) || term("buckets", message.bucket).definition]],
    ["Recipient", message.to],
    ["Campaign", message.campaign_id],
    ["Tracking id", message.tracking_id],
    ["Carrier", message.operator_id],
    ["Settled", message.conflicted ? "two final receipts contradict each other; the first one counts" : null],
  ];
  return h("dl", {}, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function timeline(steps) {
  const start = steps.length ? Date.parse(steps[0].at) : 0;
  return h("ol", { class: "timeline" }, steps.map((step) => {
    const facts = Object.entries(step).filter(([name]) => !SHOWN.has(name)).map(([name, value]) => `${words(name)}: ${value}`).join("\n");
    const after = (Date.parse(step.at) - start) / 1000;
    return h("li", { data: { what: step.what } },
      h("time", { datetime: step.at, title: step.at }, moment(step.at), h("span", { class: "muted" }, after > 0 ? ` + ${duration(after)}` : "")),
      h("p", {}, SENTENCES[step.what]?.(step) ?? words(step.what)),
      step.matched ? null : h("p", { class: "warn" }, "Perhaps about this message: to the same recipient, with a tracking id that no answer gave."),
      h("details", {}, h("summary", {}, "Event"), h("pre", {}, `${step.what}\n${step.topic}, partition ${step.partition}, offset ${step.offset}\n${facts}`)));
  }));
}
