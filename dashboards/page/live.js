// The one stream of this page. Read with fetch and not with EventSource, which hides heartbeats, shows no status and
// forgets Last-Event-ID when it is opened anew.
//
// States: connecting, live, paused (by the user), hidden (nobody looks), disconnected (since when, next try when),
// gone (the server says that there is nothing to stream: 404), signed-out.

import { Parser } from "./sse.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const SILENCE = 40_000; // the server speaks every 15 s; so long without a word means that the line is dead

export class Live {
  constructor({ onState, onEvent }) {
    this.onState = onState;
    this.onEvent = onEvent;
    this.path = null;
    this.lastId = null;
    this.paused = false;
    this.state = { name: "connecting" };
    this.run = 0; // the number of the connection that counts; an older one's words are dropped
    document.addEventListener("visibilitychange", () => this.restart());
    window.addEventListener("online", () => this.restart());
    window.addEventListener("pagehide", () => this.stop());
    window.addEventListener("pageshow", (event) => event.persisted && this.restart());
  }

  /** Stream this path from now on; null for none. */
  open(path) {
    this.path = path;
    this.lastId = null;
    this.lostAt = null;
    this.restart();
  }

  pause(paused) {
    this.paused = paused;
    this.restart();
  }

  stop() {
    this.run += 1;
    this.aborter?.abort();
    clearTimeout(this.timer);
  }

  restart() {
    this.stop();
    if (this.path === null) return;
    if (this.paused) this.tell({ name: "paused" });
    else if (document.hidden) this.tell({ name: "hidden" });
    else this.connect(FIRST_WAIT);
  }

  tell(state) {
    this.state = { ...state, at: Date.now() };
    this.onState(this.state);
  }

  async connect(wait) {
    const run = this.run;
    if (!this.lostAt) this.tell({ name: "connecting" });
    this.aborter = new AbortController();
    const heard = () => this.watch(run);
    let opened = false;
    try {
      heard();
      const headers = this.lastId === null ? {} : { "Last-Event-ID": this.lastId };
      const answer = await fetch(this.path, { headers, signal: this.aborter.signal, cache: "no-store" });
      if (run !== this.run) return;
      if (!answer.ok) {
        if (this.refused(answer.status)) return;
        throw new Error(`HTTP ${answer.status}`);
      }
      opened = true;
      this.lostAt = null;
      this.tell({ name: "live" });
      await this.read(answer.body, run, heard);
    } catch {
      // the reason does not matter here: whatever it was, the line is down
    }
    if (run === this.run) this.lost(opened ? FIRST_WAIT : wait);
  }

  async read(body, run, heard) {
    const parser = new Parser();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || run !== this.run) return;
      heard();
      for (const event of parser.feed(value)) {
        this.lastId = event.id ?? this.lastId;
        this.onEvent(event.kind, JSON.parse(event.data));
      }
    }
  }

  refused(status) {
    if (status === 404) this.tell({ name: "gone" });
    else if (status === 401) window.dispatchEvent(new CustomEvent("signed-out"));
    else return false;
    this.stop();
    return true;
  }

  /** Each word of the server puts off the moment at which the line is taken for dead. */
  watch(run) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => run === this.run && this.aborter.abort(), SILENCE);
  }

  lost(wait) {
    clearTimeout(this.timer);
    this.lostAt ??= Date.now();
    const pause = wait * (0.75 + Math.random() / 2);
    this.tell({ name: "disconnected", since: this.lostAt, retryAt: Date.now() + pause });
    const run = this.run;
    this.timer = setTimeout(() => run === this.run && this.connect(Math.min(wait * 2, LONGEST_WAIT)), pause);
  }
}
