// Why a message is where it is, in plain words, from its state alone.

import { onCode, onDetail, onDoubt } from "./glossary.js";

export function why(message) {
  if (message.bucket === "rejected" && message.error_code) return `${onCode(message.error_code).title} (${message.error_code})`;
  if (message.bucket === "undelivered" && message.detail) return `${onDetail(message.detail).title} (${message.detail})`;
  if (message.bucket === "in_doubt" && message.doubt_reason) return onDoubt(message.doubt_reason).title;
  if (message.bucket === "queued" && message.attempts) return "Tried, and provably not sent; waits to be tried again";
  return message.conflicted ? "Two receipts contradict each other" : "";
}
