// Bringing in what an endpoint missed: since when, until when, and how far it has come.

import { count, el } from "../dom.js";
import * as calls from "./calls.js";
import { ask, field } from "./dialog.js";

const DAY_MS = 86_400_000;
/** A log of a hundred million events ends before that; a hub that never says `complete` does not keep the page. */
const ROUNDS_MAX = 10_000;

/** Answers whether anything was brought in. */
export async function recover(app, endpoint) {
  const progress = el("p", { class: "hint", role: "status" });
  const done = await ask({
    title: "Recover what was missed",
    body: [
      el("p", {}, "Every event of this time that it wants and that was not delivered is sent again."),
      field("since", "Since", { type: "datetime-local", step: "1", value: local(Date.now() - DAY_MS), required: true }),
      field("until", "Until", { type: "datetime-local", step: "1" }, "Empty: until now."),
      progress,
    ],
    confirm: "Recover", underWay: "can be left",
    run: (form, dialog) => rounds(endpoint, span(form), dialog, (all) => {
      progress.textContent = `${count(all.looked)} events looked at, ${count(all.recovered)} to be sent again …`;
    }),
  });
  if (!done) return false;
  app.said(done.recovered
    ? `${count(done.recovered)} of ${count(done.looked)} events are sent again.`
    : `Nothing was missed: ${count(done.looked)} events were looked at.`);
  return true;
}

/** The hub goes through a piece at a time; closing the dialog ends it after the one under way. */
async function rounds(endpoint, span, dialog, tell) {
  const all = { looked: 0, recovered: 0 };
  let after;
  for (let round = 0; round < ROUNDS_MAX && dialog.open; round++) {
    const piece = await calls.recover(endpoint, { ...span, ...(after !== undefined && { after }) });
    all.looked += piece.events_looked_at;
    all.recovered += piece.recovered;
    after = piece.next_after;
    if (piece.complete) break;
    tell(all);
  }
  return all;
}

function span(form) {
  const read = (name) => (form.elements[name].value ? new Date(form.elements[name].value).toISOString() : undefined);
  const since = read("since");
  if (!since) throw new Error("Say since when.");
  return { since, until: read("until") };
}

/** A moment as <input type="datetime-local"> wants it: in this machine's time. */
function local(ms) {
  const at = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 19);
}
