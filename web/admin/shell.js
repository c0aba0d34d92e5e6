// What stands around every view: the parts of the dashboard, the state of the line and of the hub, who is signed in, and what
// was done or failed last.

import { $, count, el, setText, span } from "../dom.js";
import { morph } from "./morph.js";

const SAID_FOR_MS = 5_000;
const LINE = {
  live: ["live", "Everything shown here is kept up to date over a socket"],
  connecting: ["connecting", ""],
  waiting: ["reconnecting", "The line was lost; it is tried again by itself"],
  ended: ["not live", ""],
};

let saidTimer = 0;

export function showShell(session, onSignOut) {
  $("side").hidden = false;
  setText($("who"), session.words);
  const out = $("sign-out");
  out.hidden = !session.token;
  out.onclick = onSignOut;
}

export function hideShell() {
  $("side").hidden = true;
  $("banner").replaceChildren();
}

export function markPlace(noun, title) {
  document.title = `${title} · paybell`;
  for (const link of $("nav").querySelectorAll("a")) {
    const here = link.dataset.noun === noun;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  keepPlaceInSight();
}

/** On a phone the parts are a strip that scrolls. */
function keepPlaceInSight() {
  $("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

// A phone that is turned, or a window made narrow, makes a strip of what was a rail.
matchMedia("(max-width: 55.99rem)").addEventListener("change", keepPlaceInSight);

export function showLine(state, more) {
  const [text, title] = LINE[state];
  const line = $("line");
  line.dataset.state = state;
  line.title = state === "ended" ? `The hub refused the line: ${more}` : title;
  setText($("line-text"), state === "waiting" ? `${text} in ${span(Math.max(1, more / 1000))}` : text);
}

/** What is wrong with the hub, on every view. */
export function showHub({ health, stats, trouble }) {
  const notice = trouble
    ? el("div", { class: "notice bad" }, el("p", {}, trouble.status ? trouble.message : `${trouble.message} What you see may be old; it is tried again every few seconds.`))
    : health && health.status !== "healthy" ? healthNotice(health) : null;
  morph($("banner"), el("div", { id: "banner", role: "status" }, notice));
  if (!stats) return;
  setText($("version"), `${stats.demo ? "demo · " : ""}version ${stats.version}`);
  const tally = $("tally-deliveries");
  tally.hidden = !stats.deliveries_failed;
  tally.title = `${count(stats.deliveries_failed)} exhausted`;
  setText(tally, stats.deliveries_failed > 999 ? "999+" : String(stats.deliveries_failed));
}

const healthNotice = ({ status, reasons }) => el("div", { class: `notice ${status === "unhealthy" ? "bad" : ""}` },
  el("p", {}, el("b", {}, `The hub is ${status}.`)),
  el("ul", {}, ...reasons.map((reason) => el("li", {}, `${reason}.`))));

/** Something was done. Goes away by itself. */
export function said(text) {
  clearTimeout(saidTimer);
  $("said").replaceChildren(el("p", { class: "toast" }, text));
  saidTimer = setTimeout(() => $("said").replaceChildren(), SAID_FOR_MS);
}

/** Something was not done. Stays until it is read. */
export function failed(error) {
  const close = el("button", { type: "button", class: "quiet-button" }, "Dismiss");
  close.addEventListener("click", () => $("failed").replaceChildren());
  $("failed").replaceChildren(el("div", { class: "toast bad" }, el("p", {}, error.message), close));
}

export function quiet() {
  $("failed").replaceChildren();
}
