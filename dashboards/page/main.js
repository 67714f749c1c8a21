// The page's composition: session, glossary, the one stream, and the view that the address names.
//
//   #/                         the campaigns
//   #/campaign/ID              one campaign
//   #/compare?id=A&id=B        several, side by side

import { forgetSession, get, mayBeSignedIn, who } from "./api.js";
import { campaignView } from "./campaign.js";
import { compareView } from "./compare.js";
import { announce, h } from "./dom.js";
import { load } from "./glossary.js";
import { listView } from "./list.js";
import { Live } from "./live.js";
import { signInView } from "./signin.js";
import { applyTheme, topBar } from "./top.js";

const main = document.getElementById("main");
let view = null;
let session = null;

applyTheme();
const live = new Live({
  onState(state) {
    top.update(state);
    view?.state?.(state);
  },
  onEvent(kind, data) {
    top.fresh(view?.event(kind, data));
  },
});
const top = topBar(document.getElementById("top"), live);

function viewOf(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [kind, id] = path.split("/");
  if (kind === "campaign" && id) return campaignView(decodeURIComponent(id), session);
  if (kind === "compare") return compareView(new URLSearchParams(query).getAll("id"));
  return listView(session);
}

function show(next) {
  view?.close?.();
  view = next;
  document.title = next.title === "Campaigns" ? "Sendledger" : `${next.title} · Sendledger`;
  main.replaceChildren(next.node);
  top.forget();
  live.open(next.stream ?? null);
}

function route() {
  if (session === null || (location.hash && !location.hash.startsWith("#/"))) return;
  show(viewOf(location.hash));
  window.scrollTo(0, 0);
  main.focus({ preventScroll: true });
  announce(view.title);
}

function askForToken(message = "") {
  session = null;
  live.open(null);
  top.signedIn(null);
  show(signInView(start, message));
}

function cannotStart(error) {
  const again = h("button", { type: "button", on: { click: start } }, "Try again");
  main.replaceChildren(h("div", { class: "empty", role: "alert" }, h("h1", {}, "The page cannot start"), h("p", {}, `${error.message}.`), again));
}

async function start() {
  if (!mayBeSignedIn()) {
    askForToken();
    return;
  }
  try {
    session = await who();
    await load();
    await get("/v1/campaigns?limit=1");
  } catch (error) {
    session = null;
    if (error.status !== 401) cannotStart(error);
    return;
  }
  top.signedIn(session);
  route();
}

window.addEventListener("hashchange", route);
window.addEventListener("signed-out", (event) => {
  forgetSession();
  if (view?.title === "Sign in") return; // several requests may hear it at once
  askForToken(event.detail || (session === null ? "" : "You are signed out."));
});
start();
