// The contents beside the reference, the filter above them, and the mark of where the reader is.

import { $, el, setText } from "../dom.js";
import { methodBadge } from "./operation.js";

const PHONE = matchMedia("(max-width: 60rem)");

export class Contents {
  #topics;
  #links = new Map();

  constructor(sections) {
    this.#topics = sections.map((section) => this.#topic(section));
    $("contents").replaceChildren(...this.#topics.map(({ item }) => item));
    $("filter").addEventListener("input", () => this.#filter());
    addEventListener("keydown", (event) => this.#key(event));
    PHONE.addEventListener("change", () => this.#fold());
    $("contents").addEventListener("click", (event) => event.target.closest("a") && this.#fold());
    this.#fold();
    this.#watch();
  }

  /** On a phone the contents would push the reference off the screen. */
  #fold() {
    $("contents-box").open = !PHONE.matches;
  }

  #topic(section) {
    const title = section.querySelector("h2");
    const articles = [...section.querySelectorAll(".operation")];
    const entries = articles.map((article) => ({ article, item: el("li", {}, this.#link(article.id, ...label(article))) }));
    const list = entries.length > 0 ? el("ul", {}, ...entries.map(({ item }) => item)) : null;
    const item = el("li", { class: "group" }, this.#link(title.id, title.textContent), list);
    return { section, item, entries };
  }

  #link(id, ...children) {
    const link = el("a", { href: `#${id}` }, ...children);
    this.#links.set(id, link);
    return link;
  }

  #filter() {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { section, item, entries } of this.#topics) {
      let any = words.length === 0;
      for (const { article, item: entry } of entries) {
        const fits = words.every((word) => article.dataset.search.includes(word));
        article.hidden = entry.hidden = !fits;
        any ||= fits;
        if (fits) found += 1;
      }
      section.hidden = item.hidden = !any;
      section.querySelector(".about")?.toggleAttribute("hidden", words.length > 0);
    }
    setText($("filtered"), words.length === 0 ? "" : found === 0 ? "Nothing fits" : `${found} found`);
    if (words.length > 0) $("contents-box").open = true;
    else this.#fold();
  }

  #key(event) {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      $("filter").focus();
    } else if (event.key === "Escape" && event.target === $("filter")) {
      $("filter").value = "";
      this.#filter();
    }
  }

  /** Marks the topmost place that is on the screen. */
  #watch() {
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) seen.add(target);
        else seen.delete(target);
      }
      const ids = [...this.#links.keys()];
      const first = ids.find((id) => [...seen].some((node) => node.id === id));
      if (first) this.#mark(first);
    }, { rootMargin: "-10% 0px -60% 0px" });
    for (const id of this.#links.keys()) observer.observe(document.getElementById(id));
  }

  #mark(id) {
    for (const [own, link] of this.#links) {
      if (own === id) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  }
}

function label(article) {
  const title = article.querySelector("h3").textContent;
  const method = article.querySelector(".route .method:not(.event)");
  return method ? [methodBadge(method.textContent.toLowerCase()), el("span", {}, title)] : [el("span", {}, article.querySelector(".route code")?.textContent ?? title)];
}
