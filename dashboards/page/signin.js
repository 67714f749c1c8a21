// The token's way in: pasted once, traded for a cookie that scripts cannot read, and forgotten.

import { signIn } from "./api.js";
import { h, setText } from "./dom.js";

export function signInView(onDone, message) {
  const token = h("input", { type: "password", id: "token", name: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-how" });
  const said = h("p", { class: "error", role: "alert" }, message);
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h("form", { class: "card signin" },
    h("h1", {}, "Sign in"),
    h("label", { for: "token" }, "API token"),
    token,
    h("p", { class: "muted", id: "token-how" }, "Sendledger printed one when it was started for the first time. In a terminal on its machine, ", h("code", {}, "sendledger token admin"), " makes another; ", h("code", {}, "sendledger token read"), " one that can only look. The page keeps it for no longer than this form: the browser gets a cookie that ends after 12 hours."),
    said, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(said, "");
    try {
      await signIn(token.value.trim());
      token.value = "";
      onDone();
    } catch (error) {
      setText(said, error.status === 401 ? "That token is not valid here." : `${error.message}.`);
      button.disabled = false;
      token.focus();
    }
  });
  return { node: form, title: "Sign in", event: () => "" };
}
