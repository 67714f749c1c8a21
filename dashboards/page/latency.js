// How long each stage takes: percentiles, and how the times are spread, on one time axis for all stages.

import { campaignPath, get } from "./api.js";
import { section } from "./section.js";
import { h, setText, svg } from "./dom.js";
import { explained } from "./explain.js";
import { count, duration } from "./format.js";
import { term } from "./glossary.js";

const STAGES = ["queue_wait", "api", "carrier", "handset", "end_to_end", "receipt_lag"];
const EVERY = 5_000; // the histograms are read anew at most so often
const WIDTH = 320;
const TALL = 34;
const TICKS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000];

export function latencies(id) {
  const rows = STAGES.map((stage) => row(stage));
  const ticks = h("div", { class: "ticks", "aria-hidden": "true" });
  const head = ["Stage", "p50", "p95", "p99", "Counted"].map((text, place) => h("th", { scope: "col", class: place ? "number" : "" }, text));
  const table = h("table", { class: "latency" }, h("caption", { class: "unseen" }, "Latency by stage"),
    h("thead", {}, h("tr", {}, head, h("th", { scope: "col", class: "wide" }, "Distribution (time to the right, each step ten times as long)"))),
    h("tbody", {}, rows.map((each) => each.node), h("tr", { class: "axis-row", "aria-hidden": "true" }, h("td", { colspan: "5" }), h("td", { class: "wide" }, ticks))));
  const bins = h("tbody");
  const exact = h("details", {}, h("summary", {}, "Distribution as a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Distribution of latencies, as a table" },
    h("table", {}, h("caption", { class: "unseen" }, "Distribution of latencies"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Stage"), h("th", { scope: "col", class: "number" }, "Up to"), h("th", { scope: "col", class: "number" }, "Counted"))), bins)));
  const note = h("p", { class: "muted" }, "p95 = 95 of 100 took at most this long. Times are those of a histogram with four steps an octave, so they are at most 19 % above the true ones.");
  let last = 0;
  let total = -1;

  async function read(counted) {
    if (counted === total || Date.now() - last < EVERY) return;
    last = Date.now();
    try {
      show(await get(`${campaignPath(id)}/latency`));
      total = counted;
    } catch {
      // the percentiles stand; the next snapshot tries again
    }
  }

  function show(found) {
    const all = STAGES.flatMap((stage) => found[stage] ?? []).map((bin) => bin.up_to_seconds);
    const scale = scaleOf(all);
    for (const each of rows) each.draw(found[each.stage] ?? [], scale);
    ticks.replaceChildren(...TICKS.filter((at) => at >= scale.from && at <= scale.to).map((at) => {
      const mark = h("span", {}, duration(at).replace(" 0 s", ""));
      mark.style.left = `${scale.place(at) * 100}%`;
      return mark;
    }));
    bins.replaceChildren(...STAGES.flatMap((stage) => (found[stage] ?? []).map((bin) => h("tr", {}, h("td", {}, term("stages", stage).title), h("td", { class: "number" }, duration(bin.up_to_seconds)), h("td", { class: "number" }, count(bin.count))))));
  }

  function update(campaign) {
    let counted = 0;
    for (const each of rows) {
      const values = campaign.latency_seconds[each.stage];
      each.update(values);
      counted += values?.count ?? 0;
    }
    read(counted);
  }
  return { node: section("Latency", h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Latency by stage" }, table), note, exact), update };
}

function scaleOf(times) {
  const from = 0.001;
  const to = Math.max(10, ...times.map((time) => 10 ** Math.ceil(Math.log10(time))));
  const decades = Math.log10(to / from);
  return { from, to, place: (time) => Math.max(0, Math.min(1, Math.log10(Math.max(time, from) / from) / decades)) };
}

function row(stage) {
  const cells = Object.fromEntries(["p50", "p95", "p99", "count"].map((name) => [name, h("td", { class: "number", data: { number: `latency.${stage}.${name}` } })]));
  const drawing = svg("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${TALL}`, preserveAspectRatio: "none", role: "img", "aria-label": "no times so far" });
  const node = h("tr", {}, h("th", { scope: "row" }, explained(term("stages", stage))), Object.values(cells), h("td", { class: "wide" }, drawing));
  let marks = null;
  function update(values) {
    for (const name of ["p50", "p95", "p99"]) setText(cells[name], duration(values?.[name] ?? null));
    setText(cells.count, count(values?.count ?? 0));
    marks = values;
  }
  function draw(bins, scale) {
    const most = Math.max(1, ...bins.map((bin) => bin.count));
    const bars = bins.map((bin) => {
      const right = scale.place(bin.up_to_seconds) * WIDTH;
      const left = scale.place(bin.up_to_seconds * 2 ** -0.25) * WIDTH;
      const tall = Math.max(1, (bin.count / most) * (TALL - 2));
      return svg("rect", { class: "bin", x: Math.max(0, left), y: TALL - tall, width: Math.max(1, right - left - 0.4), height: tall });
    });
    const lines = ["p50", "p95", "p99"].filter((name) => marks?.[name]).map((name) => {
      const x = scale.place(marks[name]) * WIDTH;
      return svg("line", { class: `mark ${name}`, x1: x, x2: x, y1: 0, y2: TALL });
    });
    drawing.replaceChildren(...bars, ...lines);
    drawing.setAttribute("aria-label", bins.length ? `most took up to ${duration(bins.find((bin) => bin.count === most)?.up_to_seconds)}; the table below has all steps` : "no times so far");
  }
  return { node, update, draw, stage };
}
