// Descriptions as elements: paragraphs, lists, code, strong words, links to https. Everything else stays text.

import { el } from "../dom.js";

const PIECES = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https:\/\/[^)\s]+)\)/g;

/** One element a paragraph or list. */
export function prose(text = "") {
  return text.split(/\n{2,}/).filter(Boolean).map((block) => {
    const lines = block.split("\n");
    if (!lines.every((line) => line.startsWith("- "))) return el("p", {}, ...inline(block));
    return el("ul", { class: "bullets" }, ...lines.map((line) => el("li", {}, ...inline(line.slice(2)))));
  });
}

/** The pieces of one line. */
export function inline(text = "") {
  const pieces = [];
  let end = 0;
  for (const { 0: whole, 1: code, 2: strong, 3: label, 4: url, index } of text.matchAll(PIECES)) {
    pieces.push(text.slice(end, index));
    if (code) pieces.push(el("code", {}, code));
    else if (strong) pieces.push(el("strong", {}, strong));
    else pieces.push(el("a", { href: url, rel: "noreferrer" }, label));
    end = index + whole.length;
  }
  pieces.push(text.slice(end));
  return pieces.filter((piece) => piece !== "");
}
