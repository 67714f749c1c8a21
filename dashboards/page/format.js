// Values as people read them.

const COUNT = new Intl.NumberFormat("en-US");
const SHARE = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** 10000 → "10,000". */
export function count(number) {
  return COUNT.format(number);
}

/** 0.8341 → "83.4 %"; nothing to divide by → "–". Never rounds to 0 or 100 what is neither. */
export function share(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value > 0 && value < 0.0005) return "< 0.1 %";
  if (value < 1 && value >= 0.9995) return "> 99.9 %";
  return `${SHARE.format(value * 100)} %`;
}

/** Part of a whole; null without one. */
export function ratio(part, whole) {
  return whole ? part / whole : null;
}

/** 0.0042 → "4 ms", 1.25 → "1.3 s", 75 → "1 min 15 s", 7300 → "2 h 2 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3570) return pair(Math.round(seconds), 60, "min", "s");
  if (seconds < 172000) return pair(Math.round(seconds / 60), 60, "h", "min");
  return pair(Math.round(seconds / 3600), 24, "d", "h");
}

function pair(total, size, large, small) {
  const rest = total % size;
  return `${Math.floor(total / size)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

/** Messages a second. */
export function perSecond(rate) {
  return `${rate >= 100 ? COUNT.format(Math.round(rate)) : rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)} /s`;
}

/** A time of today as "12:03:04", of another day with its date. Local time. */
export function moment(when) {
  const date = new Date(when);
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return TIME.format(date);
  const day = date.getFullYear() === now.getFullYear() ? DAY : YEAR;
  return `${day.format(date)}, ${TIME.format(date)}`;
}

/** snake_case or kebab-case to words. */
export function words(name) {
  return name.replaceAll(/[_-]/g, " ");
}
