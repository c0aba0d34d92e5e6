// Small pieces that every view is made of.

import { copyable, el, moment, short, span } from "../dom.js";

/** A moment as its distance from now, exact in its title. `tickTimes` keeps it true. */
export function ago(value) {
  const at = moment(value ?? NaN);
  if (value === null || value === undefined || Number.isNaN(at.getTime())) return el("span", { class: "none" }, "–");
  return el("time", { datetime: at.toISOString(), title: exact(at), "data-ago": true }, distance(at));
}

export function tickTimes() {
  for (const node of document.querySelectorAll("time[data-ago]")) {
    const text = distance(new Date(node.dateTime));
    if (node.firstChild?.data !== text) node.textContent = text;
  }
}

const exact = (at) => `${at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" })} (${at.toISOString()})`;

function distance(at) {
  const seconds = (at.getTime() - Date.now()) / 1000;
  if (Math.abs(seconds) < 2) return "now";
  return seconds < 0 ? `${span(-seconds)} ago` : `in ${span(seconds)}`;
}

/** Money is the exact text that the hub gave; here it only gets its unit. */
export const money = (amount) => el("span", { class: "money" }, el("b", {}, String(amount)), " USDT");

/** A word of the API's; it is an attribute and no class, so that it meets no style that is not meant for it. */
export const badge = (word, title) => el("span", { class: "badge", "data-word": word, title }, word);

export const button = (text, act, data = {}, tone = "") => {
  const attributes = Object.fromEntries(Object.entries(data).map(([name, value]) => [`data-${name}`, value]));
  return el("button", { type: "button", class: tone, "data-act": act, ...attributes }, text);
};

/** A copyable text that is drawn anew where the text is another one. */
export function code(text, what, shown) {
  const node = copyable(text, what, shown);
  node.dataset.key = `copy ${text} ${what}`;
  return node;
}

export const paymentLink = (id, text) => el("a", { href: `#/payments/${encodeURIComponent(id)}` }, text ?? short(id, 8, 6));

/** The head of a view: its heading takes the focus when somebody navigates to it. */
export function head(title, { under, actions = [], back } = {}) {
  const shown = actions.filter(Boolean);
  return el("header", { class: "head" },
    el("div", {},
      back ? el("p", { class: "back" }, el("a", { href: back.href }, back.text)) : null,
      el("h1", { tabindex: "-1" }, ...[title].flat()),
      under ? el("p", { class: "under" }, ...[under].flat()) : null),
    shown.length ? el("div", { class: "actions" }, ...shown) : null);
}

export const card = (title, ...children) => el("section", { class: "card", "aria-label": title, "data-key": `card ${title}` }, el("h2", {}, title), ...children);

export const nothing = (text, ...more) => el("div", { class: "empty" }, el("p", {}, text), ...more);

export const failure = (error) => el("div", { class: "failure", role: "alert", "data-key": "failure" },
  el("p", {}, error.message), button("Try again", "reload"));

/** Names and values; a value that is null or false is left out. */
export function facts(...pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return el("dl", { class: "facts-list" },
    ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, ...[value].flat()))));
}

/** A table whose rows become cards on a phone. The roles stay when the style sheet makes blocks of it. */
export function table(caption, columns, rows) {
  const cells = (row) => columns.map(([name, cell, tone = ""], at) => el(at ? "td" : "th", {
    role: at ? "cell" : "rowheader", scope: at ? null : "row", "data-label": tone === "end" ? "" : name, class: tone || null,
  }, ...[cell(row)].flat()));
  return el("table", { role: "table", class: "data" },
    el("caption", { class: "hidden" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      ...columns.map(([name, , tone]) => el("th", { role: "columnheader", scope: "col", class: tone || null }, tone === "end" ? el("span", { class: "hidden" }, name) : name)))),
    el("tbody", { role: "rowgroup" }, ...rows.map(({ key, row, fresh }) =>
      el("tr", { role: "row", "data-key": key, class: fresh ? "fresh" : null }, ...cells(row)))));
}

/** Links that choose one of several lists. */
export const tabs = (label, choices, chosen) => el("nav", { class: "tabs", "aria-label": label },
  el("ul", {}, ...choices.map(([value, text, href]) =>
    el("li", {}, el("a", { href, "aria-current": value === chosen && "true" }, text)))));

/** What stays the same while a view is drawn again, for example a chart. */
export const slot = (name) => el("div", { "data-own": name, "data-key": `own ${name}` });
