// Sent, delivered and failed over time. Three views of the same: what this page has seen second by second, the whole
// campaign summed up, and the whole campaign per minute. Each is also a table.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { inGroup } from "./buckets.js";
import { section } from "./section.js";
import { h, setText } from "./dom.js";
import { count, moment } from "./format.js";

const LINES = [["Sent", "--sent"], ["Delivered", "--delivered"], ["Failed", "--undelivered"]];
const VIEWS = { total: "So far", minute: "Per minute", live: "Since you look" };
const KEPT = 900; // seconds that are kept of what was seen
const HEIGHT = 240;
const TABLE_ROWS = 60;
const FEW_STEPS = 4;

export function series() {
  const seen = [];
  const holder = h("div", { class: "chart", "aria-hidden": "true" });
  const waiting = h("p", { class: "empty-line" }, "Nothing was sent so far.");
  const body = h("tbody");
  const caption = h("caption", { class: "unseen" });
  const table = h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Sent, delivered and failed over time, as a table" }, h("table", {}, caption,
    h("thead", {}, h("tr", {}, ["Time", ...LINES.map(([name]) => name)].map((text, place) => h("th", { scope: "col", class: place ? "number" : "" }, text)))), body)));
  const note = h("p", { class: "muted" });
  let chosen = null;
  let campaign = null;
  let plot = null;
  let drawn = "";

  const buttons = Object.entries(VIEWS).map(([name, label]) => {
    const button = h("button", { type: "button", "aria-pressed": "false", data: { view: name } }, label);
    button.addEventListener("click", () => { chosen = name; draw(); });
    return button;
  });

  function view() {
    if (chosen) return chosen;
    return campaign.series.length < FEW_STEPS && seen.length > 1 ? "live" : "total";
  }

  function update(next) {
    campaign = next;
    const at = Math.floor(Date.now() / 1000);
    const now = [at, next.rates.acceptance.numerator, next.counts.delivered, inGroup(next.counts, "failed")];
    if (seen.length && seen.at(-1)[0] === at) seen[seen.length - 1] = now;
    else seen.push(now);
    while (seen.length > KEPT) seen.shift();
    draw();
  }

  function draw() {
    if (!campaign) return;
    const name = view();
    const data = columns(name === "live" ? seen : points(campaign.series, name));
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.view === name));
    const empty = data[0].length === 0;
    waiting.hidden = !empty;
    holder.hidden = table.hidden = note.hidden = empty;
    setText(note, NOTES[name]);
    if (empty) return;
    if (plot && drawn === name) plot.setData(data);
    else {
      plot?.destroy();
      plot = new uPlot(options(name, holder.clientWidth || 400), data, holder);
      drawn = name;
    }
    setTimeout(tellNewest); // behind the chart's own drawing, which empties the legend
    if (table.open) rows(data);
  }

  /** Without a pointer on the chart its legend tells the newest values. */
  function tellNewest() {
    if (plot && !(plot.cursor.left >= 0)) plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  }

  function rows(data) {
    setText(caption, `Sent, delivered and failed: ${VIEWS[view()].toLowerCase()}, the newest first`);
    const places = data[0].map((_, place) => place).slice(-TABLE_ROWS).reverse();
    body.replaceChildren(...places.map((place) => h("tr", {}, h("td", {}, moment(data[0][place] * 1000)),
      LINES.map((_, line) => h("td", { class: "number" }, number(data[line + 1][place]))))));
  }

  function redraw() {
    plot?.destroy();
    plot = null;
    draw();
  }

  table.addEventListener("toggle", draw);
  window.addEventListener("theme", redraw);
  const sized = new ResizeObserver(() => plot?.setSize({ width: holder.clientWidth, height: HEIGHT }));
  sized.observe(holder);
  const node = section("Over time", h("div", { class: "segments", role: "group", "aria-label": "Which view" }, buttons), waiting, holder, note, table);
  return {
    node,
    update,
    gap() {
      if (seen.length && seen.at(-1)[1] !== null) seen.push([Math.floor(Date.now() / 1000), null, null, null]);
    },
    close() {
      sized.disconnect();
      window.removeEventListener("theme", redraw);
      plot?.destroy();
    },
  };
}

const NOTES = {
  total: "Messages so far, by the time of the event: accepted by the provider, delivered, failed. One step is a minute in a message's first six hours, then an hour.",
  minute: "Messages a minute, by the time of the event. After a message's first six hours the steps are hours, shown as their average a minute.",
  live: "Totals as they came in, second by second, since this page was opened; at most 15 minutes.",
};

function number(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? count(value) : value.toFixed(1);
}

/** The API's steps as rows [seconds, sent, delivered, failed], summed up or per minute; empty minutes are filled. */
export function points(steps, name) {
  const found = [];
  const sums = [0, 0, 0];
  for (const step of steps) {
    const at = Date.parse(step.at) / 1000;
    const values = [step.accepted, step.delivered, step.failed];
    const last = found.at(-1);
    if (name === "minute") {
      // a step without an entry is one in which nothing happened
      if (last && at - last[0] > step.seconds) found.push([last[0] + 60, 0, 0, 0], [at - step.seconds, 0, 0, 0]);
      const row = values.map((value) => (value * 60) / step.seconds);
      if (last && last[0] === at) row.forEach((value, place) => { last[place + 1] += value; });
      else found.push([at, ...row]);
    } else {
      if (!last) found.push([at, 0, 0, 0]);
      values.forEach((value, place) => { sums[place] += value; });
      found.push([at + step.seconds, ...sums]);
    }
  }
  return name === "minute" ? found : strictly(found);
}

/** Steps of different lengths may end at one moment: the last one holds. Times must rise. */
function strictly(rows) {
  rows.sort((one, other) => one[0] - other[0]);
  const best = new Map();
  for (const row of rows) {
    const known = best.get(row[0]);
    best.set(row[0], known ? row.map((value, place) => Math.max(value, known[place])) : row);
  }
  let before = [0, 0, 0, 0];
  return [...best.values()].map((row) => (before = row.map((value, place) => (place ? Math.max(value, before[place]) : value))));
}

function columns(rows) {
  return [0, 1, 2, 3].map((place) => rows.map((row) => row[place]));
}

function colour(name) {
  const probe = h("span", { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Between two ticks, in seconds: never less than a label can tell.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

function options(name, width) {
  const ink = colour("--muted");
  const line = colour("--line");
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return {
    width,
    height: HEIGHT,
    legend: { live: true },
    padding: [null, 32, null, null], // the last time is not cut off
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
    axes: [
      { ...axis, incrs: STEPS, space: 80, values: [
        [3600 * 24, "{D} {MMM}", null, null, null, null, null, null, 1],
        [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
        [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
        [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
      ] },
      { ...axis, size: 62, values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? count(value) : "")) },
    ],
    series: [
      { label: "Time", value: (_, at) => (at === null || at === undefined ? "–" : moment(at * 1000)) },
      ...LINES.map(([label, colourName], place) => ({
        label,
        stroke: colour(colourName),
        width: 2,
        dash: [[], [], [6, 4]][place],
        points: { show: false },
        spanGaps: false,
        paths: name === "minute" ? uPlot.paths.stepped({ align: 1 }) : undefined,
        value: (_, value) => number(value),
      })),
    ],
  };
}
