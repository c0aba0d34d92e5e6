// Blocks of code with a button that copies them.

import { $, copy, el, setText } from "../dom.js";

const COPIED_MS = 1600;

/** Lines that are to be read whole, like frames: they wrap, each hanging under its beginning. */
export function wrappedBlock(title, text, what) {
  const block = codeBlock(title, text, what);
  block.classList.add("wrapped");
  block.querySelector("code").replaceChildren(...text.split("\n").map((line) => el("span", { class: "line" }, line)));
  return block;
}

/** `what` names the block for those who do not see it. */
export function codeBlock(title, text, what) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(text);
    button.textContent = done ? "Copied" : "Failed";
    setText($("announce"), done ? `Copied ${what}` : `Could not copy ${what}`);
    setTimeout(() => { button.textContent = "Copy"; setText($("announce"), ""); }, COPIED_MS);
  });
  // Wide lines scroll inside of the block, also by keyboard.
  const lines = el("pre", { tabindex: "0", role: "group", "aria-label": what }, el("code", {}, text));
  return el("figure", { class: "code" }, el("figcaption", {}, title, button), lines);
}

export const json = (value) => JSON.stringify(value, null, 2);
