// Pause, resume, cancel. Each says first what will happen, with the numbers of now, and only then asks.

import { campaignPath, get, post } from "./api.js";
import { unsent } from "./buckets.js";
import { announce, h, setText } from "./dom.js";
import { count } from "./format.js";

const STOPPED = new Set(["paused", "halted"]);

export function orders(id, session, onDone) {
  const pause = h("button", { type: "button", id: "order-pause" }, "Pause …");
  const resume = h("button", { type: "button", id: "order-resume", class: "primary" }, "Resume …");
  const cancel = h("button", { type: "button", id: "order-cancel", class: "danger" }, "Cancel …");
  const none = h("p", { class: "muted" }, "This token may only read.");
  const node = h("div", { class: "orders" }, none, pause, resume, cancel);
  const allowed = session?.scope === "send" || session?.scope === "admin";
  none.hidden = allowed;
  const ask = (order) => () => confirm(order, id, onDone);
  pause.addEventListener("click", ask("pause"));
  resume.addEventListener("click", ask("resume"));
  cancel.addEventListener("click", ask("cancel"));
  function update({ state, counts }) {
    const over = state === "cancelled" || !unsent(counts);
    pause.hidden = !allowed || over || STOPPED.has(state);
    resume.hidden = !allowed || !STOPPED.has(state);
    cancel.hidden = !allowed || over;
  }
  update({ state: "cancelled", counts: { queued: 0, attempting: 0 } });
  return { node, update };
}

const waits = (number) => (number === 1 ? "1 message waits" : `${count(number)} messages wait`);
const flies = (number) => (number === 1 ? "1 call is in flight" : `${count(number)} calls are in flight`);

const TEXTS = {
  pause: {
    title: "Pause this campaign?",
    button: "Pause the campaign",
    will: ({ counts }) => [
      `${waits(counts.queued)} to be sent and will stay queued, as long as the pause lasts or until they expire.`,
      counts.attempting ? `${flies(counts.attempting)} just now: each ends, and what it carries is sent.` : "No call is in flight just now.",
      "No call starts later than a second after the order stands.",
      "Postbacks are taken and counted as before. Resume goes on where it stopped, and repeats nothing.",
    ],
  },
  resume: {
    title: "Resume this campaign?",
    button: "Resume the campaign",
    will: ({ counts, state, state_reason: reason }) => [
      `${waits(counts.queued)} and will be sent at the account's rate, beginning at once.`,
      state === "halted" ? `The sender had stopped it by itself${reason ? `: ${reason}` : ""}. If the cause still holds, it stops again.` : "It goes on where it stopped; nothing is sent twice.",
    ],
  },
  cancel: {
    title: "Cancel this campaign for ever?",
    button: "Cancel the campaign",
    danger: true,
    sure: "I know that this is final",
    will: ({ counts }) => [
      `${waits(counts.queued)} and will never be sent.`,
      counts.attempting ? `${flies(counts.attempting)} just now: what the provider has got of them cannot be taken back.` : "No call is in flight just now.",
      "What was sent before stays as it is; its receipts are still counted.",
      "Cancel is final: a cancelled campaign can neither be resumed nor take new messages.",
    ],
  },
};

/** The numbers are asked for anew when the dialog opens, and told with their time. */
function confirm(order, id, onDone) {
  const text = TEXTS[order];
  const will = h("ul", { class: "will" }, h("li", {}, "Looking at the numbers of now …"));
  const reason = h("input", { type: "text", id: "order-reason", maxlength: "500", autocomplete: "off" });
  const sure = h("input", { type: "checkbox", id: "order-sure" });
  const said = h("p", { class: "error", role: "alert" });
  const go = h("button", { type: "submit", class: text.danger ? "danger" : "primary", disabled: true, id: "order-go" }, text.button);
  const back = h("button", { type: "button", id: "order-back" }, "Do nothing");
  const form = h("form", { method: "dialog" }, h("h2", { id: "order-title" }, text.title), h("p", { class: "muted name" }, id),
    h("p", {}, "What will happen:"), will,
    h("label", { for: "order-reason" }, "Reason, for the audit list (optional)"), reason,
    text.sure ? h("label", { class: "check" }, sure, text.sure) : null, said, h("div", { class: "tools end" }, back, go));
  const dialog = h("dialog", { class: "order", "aria-labelledby": "order-title" }, form);
  let known = false;
  const ready = () => { go.disabled = !known || (Boolean(text.sure) && !sure.checked); };
  sure.addEventListener("change", ready);
  back.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    setText(go, "…");
    try {
      const answer = await post(`${campaignPath(id)}/${order}`, { reason: reason.value });
      onDone();
      announce(`Done: ${text.button.toLowerCase()}`);
      if (order === "cancel") flights(form, answer, dialog);
      else if (order === "resume" && STOPPED.has(answer.state)) still(form, dialog);
      else dialog.close();
    } catch (error) {
      setText(said, `${error.message}.`);
      setText(go, text.button);
      ready();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  get(campaignPath(id)).then((campaign) => {
    will.replaceChildren(...text.will(campaign).map((line) => h("li", {}, line)));
    known = true;
    ready();
  }, (error) => setText(said, `The numbers cannot be read: ${error.message}.`));
}

function told(form, dialog, title, ...lines) {
  const done = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
  form.replaceChildren(h("h2", { id: "order-title" }, title), ...lines, h("div", { class: "tools end" }, done));
  done.focus();
}

function flights(form, { in_flight: flight, in_flight_reason: reason }, dialog) {
  if (!flight) {
    told(form, dialog, "The campaign is cancelled", h("p", {}, `What was in flight could not be read: ${reason}.`));
    return;
  }
  const items = flight.items.map((each) => h("li", {}, `${each.to}: ${each.became}`));
  const head = flight.count ? `${flies(flight.count)}: what the provider has got of them cannot be taken back.` : "Nothing was in flight.";
  told(form, dialog, "The campaign is cancelled", h("p", {}, head), h("ul", {}, items));
}

function still(form, dialog) {
  told(form, dialog, "The campaign is resumed, the account is not",
    h("p", {}, "The whole account is stopped, so nothing goes out yet. Someone with the scope admin can resume it."));
}
