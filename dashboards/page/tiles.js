// The numbers that one looks at first, each with its share, and what it is a share of, in its explanation.

import { rangeBar } from "./bar.js";
import { inGroup, unsent } from "./buckets.js";
import { h, setText } from "./dom.js";
import { explained } from "./explain.js";
import { count, duration, perSecond, ratio, share } from "./format.js";
import { term } from "./glossary.js";

export function tiles(pace) {
  const audience = tile("audience");
  const sent = tile("sent");
  const delivered = tile("delivered");
  const range = rangeBar();
  delivered.node.append(range.node);
  const failed = tile("failed");
  const pending = tile("pending");
  const doubt = tile("in_doubt");
  const withheld = tile("withheld");
  const unknown = tile("unknown");
  const rate = tile("rate");
  const left = tile("time_left");
  const all = [audience, sent, delivered, failed, pending, doubt, withheld, unknown, rate, left];

  function update(campaign) {
    const { counts, rates } = campaign;
    const of = (number) => `${share(ratio(number, counts.requested))} of audience`;
    const accepted = rates.acceptance.numerator;
    audience.set(count(counts.requested), "all that was asked for", counts.requested);
    sent.set(count(accepted), of(accepted), accepted);
    delivered.set(count(counts.delivered), bounds(rates), counts.delivered);
    range.update(rates.delivery_low.value, rates.delivery_high.value);
    const failures = inGroup(counts, "failed");
    failed.set(count(failures), of(failures), failures);
    const open = inGroup(counts, "pending");
    pending.set(count(open), of(open), open);
    doubt.set(count(counts.in_doubt), counts.in_doubt ? of(counts.in_doubt) : "none", counts.in_doubt);
    doubt.node.classList.toggle("warn", counts.in_doubt > 0);
    const held = inGroup(counts, "withheld");
    withheld.set(count(held), held ? of(held) : "none", held);
    unknown.set(count(counts.unknown), counts.unknown ? of(counts.unknown) : "none", counts.unknown);
    speed(campaign, rate, left, pace.rate());
  }
  return { node: h("section", { class: "tiles", "aria-label": "Numbers" }, all.map((each) => each.node)), update };
}

function tile(name) {
  const big = h("p", { class: "big", data: { number: name } });
  const small = h("p", { class: "small" });
  const node = h("div", { class: "tile", data: { tile: name } }, h("p", { class: "label" }, explained(term("numbers", name))), big, small);
  function set(text, under, value = "") {
    setText(big, text);
    setText(small, under);
    big.dataset.value = String(value);
  }
  return { node, set };
}

function bounds({ delivery_low: low, delivery_high: high }) {
  if (!low.denominator) return "no carrier has one so far";
  const of = `of ${count(low.denominator)} at carriers`;
  if (low.numerator === high.numerator) return `${share(low.value)} ${of}`;
  return `${share(low.value).replace(" %", "")} – ${share(high.value)} ${of}`;
}

const RESTING = { paused: "paused", halted: "halted", scheduled: "not started", cancelled: "cancelled" };

function speed({ state, counts }, rate, left, now) {
  const waiting = unsent(counts);
  if (!waiting) {
    rate.set("–", "nothing left to send");
    left.set("–", "all handed over");
  } else if (RESTING[state]) {
    rate.set("–", RESTING[state]);
    left.set("–", `${count(waiting)} wait`);
  } else if (now === null) {
    rate.set("…", "measuring");
    left.set("…", `${count(waiting)} to go`);
  } else {
    rate.set(perSecond(now), "over the last 30 s");
    left.set(now ? `${duration(waiting / now)}` : "∞", `${count(waiting)} to go${now ? "" : ", and none moved"}`);
  }
}
