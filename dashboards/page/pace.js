// How fast a campaign goes, from the snapshots that this page has seen: the API tells counts, not speeds.

import { unsent } from "./buckets.js";

const WINDOW = 30_000;

export class Pace {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.seen = [];
  }

  saw(counts) {
    this.seen.push({ at: this.now(), handled: counts.requested - unsent(counts) });
    while (this.seen.length > 2 && this.seen[1].at < this.now() - WINDOW) this.seen.shift();
  }

  /** After a break in the stream nobody knows how the time in between went. */
  forget() {
    this.seen = [];
  }

  /** Messages a second that left the queue; null as long as two seconds were not seen. */
  rate() {
    if (!this.seen.length) return null;
    const first = this.seen[0];
    const from = Math.max(first.at, this.now() - WINDOW);
    const seconds = (this.now() - from) / 1000;
    if (seconds < 2) return null;
    return Math.max(0, this.seen.at(-1).handled - this.handledAt(from)) / seconds;
  }

  /** How many had left the queue then: between two snapshots as if they had gone evenly. */
  handledAt(at) {
    const next = this.seen.findIndex((each) => each.at >= at);
    if (next < 0) return this.seen.at(-1).handled;
    if (next === 0) return this.seen[0].handled;
    const [one, other] = [this.seen[next - 1], this.seen[next]];
    return one.handled + ((other.handled - one.handled) * (at - one.at)) / (other.at - one.at);
  }
}
