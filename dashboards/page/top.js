// The bar at the top: the way home, how fresh the numbers are, pause, theme, and who is signed in.

import { signOut } from "./api.js";
import { announce, h, setText } from "./dom.js";
import { explained } from "./explain.js";
import { moment } from "./format.js";
import { freshness } from "./glossary.js";

const THEMES = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };
const KEY = "sendledger-theme";

export function applyTheme() {
  document.documentElement.dataset.theme = localStorage.getItem(KEY) in THEMES ? localStorage.getItem(KEY) : "auto";
}

function themeButton() {
  const button = h("button", { type: "button", class: "quiet" });
  const show = () => setText(button, THEMES[document.documentElement.dataset.theme]);
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
    localStorage.setItem(KEY, next);
    applyTheme();
    show();
    window.dispatchEvent(new CustomEvent("theme"));
  });
  show();
  return button;
}

/** {update(state), fresh(asOf), signedIn(session)}: fills the header. */
export function topBar(header, live) {
  const text = h("span", { class: "text" });
  const badge = h("div", { class: "freshness", role: "group", "aria-label": "Freshness", id: "freshness" }, h("span", { class: "dot", "aria-hidden": "true" }), text);
  const pause = h("button", { type: "button", id: "pause-live", "aria-pressed": "false" }, "Pause updates");
  const me = h("span", { class: "muted me" });
  const out = h("button", { type: "button", class: "quiet" }, "Sign out");
  const around = h("div", { class: "around", hidden: true }, badge, pause);
  const account = h("div", { class: "account", hidden: true }, me, out);
  let state = { name: "connecting" };
  let asOf = null;
  let down = false;

  pause.addEventListener("click", () => {
    live.pause(!live.paused);
    pause.setAttribute("aria-pressed", String(live.paused));
    setText(pause, live.paused ? "Resume updates" : "Pause updates");
  });
  out.addEventListener("click", async () => {
    live.open(null);
    let said = "";
    try {
      await signOut();
    } catch (error) {
      if (error.status !== 401) said = `Perhaps not signed out everywhere: ${error.message}.`;
    }
    window.dispatchEvent(new CustomEvent("signed-out", { detail: said }));
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new CustomEvent("theme")));
  header.replaceChildren(h("a", { class: "brand", href: "#/" }, h("img", { src: "page/icon.svg", alt: "", width: 22, height: 22 }), "Sendledger"),
    around, h("span", { class: "spring" }), themeButton(), account);
  setInterval(() => show(), 1000);

  function show() {
    badge.dataset.state = state.name;
    setText(text, told(state, asOf));
  }
  return {
    update(next) {
      // the badge's text counts seconds: only what matters is said aloud
      if (next.name === "disconnected" && !down) announce("Disconnected: the numbers stand still");
      if (next.name === "live" && down) announce("Connected again");
      down = next.name === "disconnected" || (down && next.name !== "live");
      state = next;
      show();
    },
    fresh(at) {
      if (at) asOf = at;
      show();
    },
    forget() {
      asOf = null;
    },
    signedIn(session) {
      around.hidden = account.hidden = session === null;
      if (session === null) return;
      setText(me, `${session.by} · ${session.scope}`);
      if (!around.querySelector(".term")) badge.append(explained(freshness(), "?"));
    },
  };
}

const QUIET = 5_000; // so long without a change is no lag: nothing happened

function told(state, asOf) {
  const numbers = asOf ? `numbers of ${moment(asOf)}` : "no numbers so far";
  switch (state.name) {
    case "live":
      return asOf ? `Live · ${age(asOf, numbers)}` : "Live";
    case "paused":
      return `Updates paused · ${numbers}`;
    case "disconnected": {
      const next = Math.max(0, Math.round((state.retryAt - Date.now()) / 1000));
      return `Disconnected since ${moment(state.since)} · ${numbers} · trying again ${next ? `in ${next} s` : "now"}`;
    }
    case "gone":
      return "Nothing to show";
    default:
      return "Connecting …";
  }
}

function age(asOf, numbers) {
  const old = Math.max(0, Date.now() - Date.parse(asOf));
  if (old >= QUIET) return `unchanged since ${moment(asOf)}`;
  return `${numbers}, ${Math.round(old / 1000)} s ago`;
}
