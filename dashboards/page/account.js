// What holds for the whole account: if it is stopped, no campaign goes on, whatever is ordered for it.

import { get, post } from "./api.js";
import { h, setText } from "./dom.js";
import { moment } from "./format.js";

export function accountBanner(session) {
  const text = h("p");
  const resume = h("button", { type: "button" }, "Resume the account");
  const node = h("div", { class: "notice bad", hidden: true, role: "alert" }, text, resume);
  resume.hidden = session?.scope !== "admin";
  resume.addEventListener("click", async () => {
    if (!window.confirm("Resume the account? Messages of every campaign that is not paused itself go out again.")) return;
    show(await post("/v1/account/resume", {}));
  });
  function show(account) {
    node.hidden = account.state === "running";
    if (node.hidden) return;
    const why = account.state_reason ? `: ${account.state_reason}` : "";
    setText(text, `Nothing is sent: the whole account is ${account.state} by ${account.state_by} since ${moment(account.state_since)}${why}. ${resume.hidden ? "An administrator can resume it." : ""}`);
  }
  async function refresh() {
    show(await get("/v1/account").catch(() => ({ state: "running" })));
  }
  return { node, refresh };
}
