// Small helpers over the document. Data becomes text here, never markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is not a node becomes text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets text only where it changed, so that a live region speaks once. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A number for people: 72345678 -> 72,345,678. Never for money. */
export const count = (value) => (Number.isFinite(value) ? value.toLocaleString("en") : "–");

/** `5f0c…a91b`: enough of a long identifier to recognise it. */
export const short = (text, head = 8, tail = 6) => (text.length <= head + tail + 1 ? text : `${text.slice(0, head)}…${text.slice(-tail)}`);

/** A moment, from unix seconds, unix milliseconds or ISO text. */
export function moment(value) {
  if (typeof value === "number") return new Date(value < 1e11 ? value * 1000 : value);
  return new Date(value);
}

export function time(value) {
  const at = moment(value);
  if (Number.isNaN(at.getTime())) return el("time", {}, "–");
  const sameDay = at.toDateString() === new Date().toDateString();
  const day = sameDay ? "" : `${at.toLocaleDateString("en", { day: "numeric", month: "short" })} `;
  const text = day + at.toLocaleTimeString("en", { hour12: false });
  return el("time", { datetime: at.toISOString(), title: at.toISOString() }, text);
}

/** A duration for people: 3 s, 12 min, 23 h 59 min. */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  const minutes = Math.floor((s % 3600) / 60);
  if (s < 172_800) return `${Math.floor(s / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  return `${Math.floor(s / 86_400)} days`;
}

/** Text with a button that copies the whole of it, also where only a part is shown. */
export function copyable(text, what, shown = text) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(text);
    // What lies outside of an open dialog is not read out.
    const voice = button.closest("dialog")?.querySelector("[data-announce]") ?? $("announce");
    setText(voice, done ? `Copied ${what}` : `Could not copy ${what}`);
    button.textContent = done ? "Copied" : "Failed";
    setTimeout(() => { button.textContent = "Copy"; setText(voice, ""); }, 1600);
  });
  return el("span", { class: "copyable" }, el("code", { title: text }, shown), " ", button);
}

/** Puts text on the clipboard; tells whether it could. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** For pages served over plain HTTP from another machine, where browsers hide the clipboard. */
function copyBySelection(text) {
  const back = document.activeElement;
  const area = el("textarea", { class: "hidden", readonly: true, "aria-hidden": "true" });
  area.value = text;
  (back?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  back?.focus();
  return done;
}

/** A row that opens to show the JSON (or the text) behind it. */
export function jsonRow(attributes, summary, at, data) {
  const raw = typeof data === "string" ? data : JSON.stringify(data, null, 2);
  const line = el("summary", {}, el("span", { class: "row" }, ...summary), at);
  return el("li", attributes, el("details", {}, line, el("pre", {}, raw)));
}
