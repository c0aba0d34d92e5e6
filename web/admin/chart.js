// A small chart of the last day: lines or bars, a reading under the pointer, and the same numbers as a table for whoever wants
// or needs them. Draws SVG that takes its colours from the style sheet.

import { el } from "../dom.js";
import { clock } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 480;
const HEIGHT = 120;
const GUIDES = [0, 0.5, 1];

export class Chart {
  #shape;
  #data = null;
  #plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #headline = el("p", { class: "headline" });
  #reading = el("p", { class: "reading", "aria-hidden": "true" });
  #scale = GUIDES.map(() => el("span", {}));
  #hours = el("p", { class: "hours", "aria-hidden": "true" });
  #legend = el("ul", { class: "legend-row" });
  #table = el("details", { class: "as-table" }, el("summary", {}, "Show as table"));
  #cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT });
  node;

  /** `shape`: kind (`bars` or `lines`), format(value) => text, and the least that the scale reaches up to. */
  constructor(title, shape) {
    this.title = title;
    this.#shape = shape;
    this.node = el("figure", { class: "chart" },
      el("figcaption", {}, el("h2", {}, title), this.#headline),
      el("div", { class: "plot" }, el("p", { class: "scale", "aria-hidden": "true" }, ...[...this.#scale].reverse()), this.#plot),
      this.#hours, el("div", { class: "under-plot" }, this.#legend, this.#reading), this.#table);
    this.#plot.addEventListener("pointermove", (event) => this.#point(event));
    this.#plot.addEventListener("pointerleave", () => this.#pointAt(null));
    this.#table.addEventListener("toggle", () => this.#drawTable());
  }

  /** `times`: begin of each place, in seconds; `series`: name, tone, values (null where nothing is known). */
  update(data) {
    const { series, headline } = data;
    this.#data = { ...data, top: niceTop(Math.max(this.#shape.least, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)))) };
    this.#headline.textContent = headline;
    this.#plot.setAttribute("aria-label", `${this.title}, from ${clock(data.times[0])} to now. ${headline}.`);
    GUIDES.forEach((part, i) => { this.#scale[i].textContent = this.#shape.format(this.#data.top * part); });
    const guides = GUIDES.map((part) => svg("line", { class: "guide", x1: 0, x2: WIDTH, y1: this.#y(this.#data.top * part), y2: this.#y(this.#data.top * part) }));
    const marks = series.map((one, i) => (this.#shape.kind === "bars" ? this.#bars(one, i, series.length) : this.#line(one)));
    this.#plot.replaceChildren(...guides, ...marks.flat(), this.#cursor);
    this.#cursor.setAttribute("visibility", "hidden");
    this.#legend.replaceChildren(...series.map(({ name, tone }) => el("li", {}, el("span", { class: `key ${tone}` }), name)));
    this.#drawHours();
    if (this.#table.open) this.#drawTable();
  }

  #x(place) {
    return (place / this.#data.times.length) * WIDTH;
  }

  #y(value) {
    return HEIGHT - 2 - (value / this.#data.top) * (HEIGHT - 6);
  }

  #bars({ tone, values }, at, of) {
    const slot = WIDTH / values.length;
    const width = (slot * 0.72) / of;
    return values.map((value, i) => {
      if (!value) return null;
      const y = this.#y(value);
      return svg("rect", { class: `bar ${tone}`, x: this.#x(i) + slot * 0.14 + at * width, y, width: width * 0.92, height: HEIGHT - 2 - y });
    }).filter(Boolean);
  }

  /** Pieces of a line; what is unknown is left out, what stands alone is a dot. */
  #line({ tone, values }) {
    let [line, dots] = ["", ""];
    const known = (place) => (values[place] ?? null) !== null;
    values.forEach((value, i) => {
      if (value === null) return;
      const at = `${(this.#x(i + 0.5)).toFixed(1)} ${this.#y(value).toFixed(1)}`;
      if (known(i - 1)) line += `L${at}`;
      else if (known(i + 1)) line += `M${at}`;
      else dots += `M${at}h0.01`;
    });
    return [["stroke", line], ["stroke dots", dots]].filter(([, d]) => d).map(([kind, d]) => svg("path", { class: `${kind} ${tone}`, d }));
  }

  #drawHours() {
    const { times, width } = this.#data;
    const begin = times[0];
    const end = times.at(-1) + width;
    const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => el("span", {}, part === 1 ? "now" : clock(begin + (end - begin) * part)));
    this.#hours.replaceChildren(...marks);
  }

  #point({ clientX }) {
    const { left, width } = this.#plot.getBoundingClientRect();
    const count = this.#data.times.length;
    this.#pointAt(Math.min(count - 1, Math.max(0, Math.floor(((clientX - left) / width) * count))));
  }

  #pointAt(place) {
    this.#cursor.setAttribute("visibility", place === null ? "hidden" : "visible");
    if (place === null) return void (this.#reading.textContent = "");
    for (const end of ["x1", "x2"]) this.#cursor.setAttribute(end, this.#x(place + 0.5));
    this.#reading.textContent = [clock(this.#data.times[place]), ...this.#data.series.map(({ name, values }) => `${name} ${this.#text(values[place])}`)].join(" · ");
  }

  #text = (value) => (value === null ? "–" : this.#shape.format(value));

  /** The newest first, without places that nobody knows anything of. */
  #drawTable() {
    this.#table.querySelector(".scroll")?.remove();
    if (!this.#table.open || !this.#data) return;
    const { times, series } = this.#data;
    const places = times.map((_, i) => i).filter((i) => series.some(({ values }) => values[i] !== null)).reverse();
    const rows = places.map((i) => el("tr", {}, el("th", { scope: "row" }, clock(times[i])),
      ...series.map(({ values }) => el("td", { class: "number" }, this.#text(values[i])))));
    this.#table.append(el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `${this.title} as a table` }, el("table", {},
      el("caption", { class: "hidden" }, `${this.title}, the newest first`),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "From"), ...series.map(({ name }) => el("th", { scope: "col", class: "number" }, name)))),
      el("tbody", {}, ...rows))));
  }
}

function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** The next of 1, 2, 5, 10, 20, ... that nothing reaches over. */
export function niceTop(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most);
}
