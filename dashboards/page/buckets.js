// The buckets: their order in bars and tables, and the groups of the overview. Colours are in page.css, by name.

/** From what is settled well over what is open to what failed or was withheld. */
export const ORDER = [
  "delivered", "sent", "accepted", "attempting", "queued", "in_doubt", "undelivered", "rejected",
  "suppressed", "expired", "cancelled",
];

export const GROUPS = {
  delivered: ["delivered"],
  failed: ["rejected", "undelivered"],
  pending: ["queued", "attempting", "accepted", "sent"],
  in_doubt: ["in_doubt"],
  withheld: ["cancelled", "expired", "suppressed"],
};

/** How many messages of these counts are in a group. */
export function inGroup(counts, group) {
  return GROUPS[group].reduce((sum, bucket) => sum + counts[bucket], 0);
}

/** Those that wait for a call or are in one. */
export const unsent = (counts) => counts.queued + counts.attempting;
