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
    h("p", { class: "muted", id: "token-how" }, "A terminal on the machine where Sendledger runs prints one: ", h("code", {}, "sendledger page"), ". The page keeps it for no longer than this form: the browser gets a cookie that ends after 12 hours."),
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
