// The door: asks for an API key where the hub wants one, and says why one was refused.

import { el } from "../dom.js";

/** `signIn(key)` answers when it opened, and throws why not. */
export function signInView({ session, message, opened }) {
  const error = el("p", { class: "error", role: "alert", id: "key-error", hidden: !message });
  error.textContent = message ?? "";
  const input = el("input", {
    id: "key", name: "key", type: "password", class: "mono", autocomplete: "off", spellcheck: "false",
    placeholder: "pb_…", "aria-describedby": "key-hint key-error", required: true,
  });
  const button = el("button", { type: "submit", class: "primary wide" }, "Sign in");
  const form = el("form", { class: "card door", novalidate: true },
    document.querySelector(".side .bell").cloneNode(true),
    el("h1", { tabindex: "-1" }, "Sign in to paybell"),
    el("div", { class: "field" }, el("label", { for: "key" }, "API key"), input),
    el("p", { class: "hint", id: "key-hint" }, "It stays in this tab and is gone when the tab is closed. A key of scope ",
      el("code", {}, "read"), " looks, one of scope ", el("code", {}, "admin"), " may do everything here."),
    error, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    try {
      await session.signIn(input.value.trim());
      opened();
    } catch (cause) {
      error.textContent = cause.status === 401 ? `This key does not open the hub: ${cause.message}` : cause.message;
      error.hidden = false;
      input.select();
      input.focus();
    } finally {
      button.disabled = false;
    }
  });
  return { node: form, focus: () => input.focus() };
}

/** While nobody knows yet whether the hub wants a key: it does not answer. */
export const waitingView = (error) => el("div", { class: "card door" },
  el("h1", {}, "The hub does not answer"), el("p", { role: "alert" }, error.message),
  el("p", { class: "hint" }, "It is tried again every few seconds."));
