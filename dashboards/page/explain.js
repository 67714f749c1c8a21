// What a number means, at the number: its label is a button that opens definition, denominator and API field.

import { h, setText } from "./dom.js";

const GAP = 6;
const EDGE = 8;
let box = null;
let opener = null;
let parts = null;

function made() {
  if (box) return;
  parts = { title: h("strong"), text: h("p"), of: h("p", { class: "muted" }), field: h("code") };
  const api = h("p", { class: "muted" }, "In the API: ", parts.field);
  parts.api = api;
  box = h("div", { class: "explain", id: "explain", popover: "auto", role: "dialog", tabindex: "-1", "aria-label": "Explanation" },
    parts.title, parts.text, parts.of, api);
  box.addEventListener("toggle", (event) => {
    opener?.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "closed") {
      if (box.contains(document.activeElement) || document.activeElement === document.body) opener?.focus({ preventScroll: true });
      opener = null;
    }
  });
  document.body.append(box);
}

function place(button) {
  const at = button.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  const left = Math.max(EDGE, Math.min(at.left, window.innerWidth - size.width - EDGE));
  const below = at.bottom + GAP;
  const fits = below + size.height <= window.innerHeight - EDGE;
  const top = fits ? below : Math.max(EDGE, at.top - GAP - size.height);
  box.style.left = `${left}px`;
  box.style.top = `${top}px`;
}

function show(button, term) {
  made();
  if (opener === button) {
    box.hidePopover();
    return;
  }
  if (opener) box.hidePopover();
  // a modal dialog makes everything outside it inert: the box has to be inside
  (button.closest("dialog") ?? document.body).append(box);
  setText(parts.title, term.title);
  setText(parts.text, term.definition);
  setText(parts.of, term.of ? `Share of: ${term.of}.` : "");
  setText(parts.field, term.field);
  parts.of.hidden = !term.of;
  parts.api.hidden = !term.field;
  opener = button;
  box.showPopover();
  place(button);
  button.setAttribute("aria-expanded", "true");
  box.focus({ preventScroll: true });
}

/** A label that explains itself. `label`: another text than the term's title. */
export function explained(term, label = term.title) {
  const button = h("button", { type: "button", class: "term", "aria-haspopup": "dialog", "aria-expanded": "false", title: "What is this?" }, label);
  let wasOpen = false;
  // a click outside closes the box before the click is handled: remember whether it was ours that was open
  button.addEventListener("pointerdown", () => { wasOpen = opener === button; });
  button.addEventListener("click", () => {
    if (wasOpen) {
      wasOpen = false;
      if (opener === button) box.hidePopover();
      return;
    }
    show(button, term);
  });
  return button;
}
