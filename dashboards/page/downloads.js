// Links to an export: the browser saves what the API streams, by the session's cookie.

import { h, setAttribute } from "./dom.js";

const FORMATS = [["csv", "CSV"], ["parquet", "Parquet"], ["ndjson", "NDJSON"]];

/** Links to `path` in each format; `what` says what is saved. `show(query)`: only that from now on. */
export function downloads(path, what) {
  const links = FORMATS.map(([format, label]) => [format, h("a", { download: true, "aria-label": `Download ${what} as ${label}` }, label)]);
  const show = (query = {}) => {
    for (const [format, link] of links) setAttribute(link, "href", `${path}?${new URLSearchParams({ ...query, format })}`);
  };
  show();
  return { node: h("span", { class: "downloads muted" }, "Download", links.map(([, link]) => link)), show };
}
