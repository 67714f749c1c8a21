// The format of server-sent events (WHATWG HTML, 9.2.6): text in, events out. Pure.

/** feed(text) → events [{kind, data, id}] that are complete; comments and anything else only count as a sign of life. */
export class Parser {
  constructor() {
    this.rest = "";
    this.id = null;
    this.retry = null;
    this.clear();
  }

  clear() {
    this.kind = "";
    this.data = [];
  }

  feed(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    return lines.map((line) => this.line(line)).filter(Boolean);
  }

  line(line) {
    if (line === "") {
      const event = this.data.length ? { kind: this.kind || "message", data: this.data.join("\n"), id: this.id } : null;
      this.clear();
      return event;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.kind = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    return null;
  }
}
