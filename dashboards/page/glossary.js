// The explanations of all numbers and reasons, from the API: one home for them, whoever shows them.

import { get } from "./api.js";

let terms = null;

export async function load() {
  terms ??= await get("/v1/glossary");
}

/** A term {title, definition, of, field} of a group: numbers, buckets, rates, quality, stages, states. */
export function term(group, name) {
  return terms[group]?.[name] ?? { title: name, definition: "", of: "", field: "" };
}

/** A number where it is shown as a share of the audience. Delivered is elsewhere a share of what carriers took. */
export const ofAudience = (name) => term(name === "delivered" ? "buckets" : "numbers", name);

export const freshness = () => terms.freshness;

/** Advice {title, meaning, action, again} on a response's error code. */
export const onCode = (code) => terms.error_codes[code] ?? terms.other_error_code;

/** … on a reason why a message is in doubt. */
export const onDoubt = (reason) => terms.doubt_reasons[reason] ?? terms.doubt_reasons.other;

/** … on a receipt's detail. */
export function onDetail(detail) {
  const known = terms.details[detail];
  if (known) return known;
  const range = detail.startsWith("tp_0x") && terms.status_ranges.find((each) => detail <= each.up_to);
  return range || terms.details.other;
}

/** Whether trying again helps, in words. */
export const AGAIN = {
  yes: "Trying again can help",
  later: "Trying again can help later",
  no: "Trying again does not help",
  twice: "Trying again could send it twice",
};
