// Dialogs: what cannot be taken back is asked first, forms tell what is wrong where it is wrong, and a secret is shown once.

import { el } from "../dom.js";
import { code } from "./parts.js";

let serial = 0;

/**
 * Asks with a form. `run(form)` does it and may throw: the dialog then says why and stays. Answers what `run` answered, or
 * null where it was left. `underWay` says whether it may be left while `run` is under way: it `stays`, because what the hub
 * answers may be told only once, or it `can be left`, which then ends what is done.
 */
export function ask({ title, body = [], confirm, tone = "primary", run, cancel = "Cancel", onOpen, underWay = "stays" }) {
  const { dialog, form, error } = build(title);
  const yes = el("button", { type: "submit", class: tone }, confirm);
  const no = el("button", { type: "button", autofocus: tone === "danger" }, cancel);
  form.append(...[body].flat().filter(Boolean), error, el("div", { class: "actions" }, no, yes));
  no.addEventListener("click", () => dialog.close());
  dialog.addEventListener("cancel", (event) => "busy" in dialog.dataset && event.preventDefault());
  const setBusy = (busy) => {
    yes.disabled = busy;
    if (underWay === "can be left") return;
    no.disabled = busy;
    if (busy) dialog.dataset.busy = "";
    else delete dialog.dataset.busy;
  };
  return shown(dialog, (done) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      setBusy(true);
      error.hidden = true;
      clearFields(form);
      try {
        const answer = await run(form, dialog);
        setBusy(false);
        done(answer);
      } catch (cause) {
        setBusy(false);
        if (underWay === "stays" && !dialog.open) dialog.showModal();
        explain(form, error, cause);
      }
    });
    onOpen?.(form, dialog);
  });
}

/** Shows a secret that nobody can show again. Escape does not close it. */
export function showSecret({ title, what, secret, text }) {
  const { dialog, form } = build(title);
  dialog.dataset.secret = "";
  const done = el("button", { type: "submit", class: "primary" }, "I have stored it");
  form.append(el("p", {}, text), el("p", { class: "secret" }, code(secret, what)), el("div", { class: "actions" }, done));
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  return shown(dialog, (close) => form.addEventListener("submit", (event) => {
    event.preventDefault();
    close(true);
  }));
}

/**
 * Whatever was asked is no longer the question: somebody went elsewhere, or was signed out. A secret stays until it is stored, and
 * what is under way until it is answered.
 */
export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog[open]:not([data-secret], [data-busy])")) dialog.close();
}

export function field(name, label, attributes = {}, hint) {
  const id = `field-${name}`;
  const note = hint && el("p", { class: "hint", id: `${id}-hint` }, hint);
  const input = el("input", { id, name, autocomplete: "off", spellcheck: "false", "aria-describedby": hint ? `${id}-hint` : null, ...attributes });
  if (attributes.value !== undefined) input.value = attributes.value;
  return el("div", { class: "field" }, el("label", { for: id }, label), input, note || null);
}

function build(title) {
  const id = `dialog-${++serial}`;
  const dialog = el("dialog", { "aria-labelledby": id });
  const form = el("form", { novalidate: true }, el("h2", { id }, title));
  const error = el("p", { class: "error", role: "alert", hidden: true });
  dialog.append(form, el("p", { class: "hidden", role: "status", "data-announce": true }));
  return { dialog, form, error };
}

/**
 * Opens it, and answers once it is closed; the focus goes back to where it was. A browser may close it while something is under
 * way all the same (Escape, twice): then it is opened again.
 */
function shown(dialog, wire) {
  return new Promise((resolve) => {
    let answer = null;
    const end = () => {
      dialog.remove();
      resolve(answer);
    };
    wire((value) => {
      answer = value;
      if (dialog.open) dialog.close();
      else end();
    });
    dialog.addEventListener("close", () => {
      if (dialog.open) return;
      if ("busy" in dialog.dataset) dialog.showModal();
      else end();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function clearFields(form) {
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  for (const note of form.querySelectorAll(".field > .error")) note.remove();
}

function explain(form, error, cause) {
  const named = Object.entries(cause.fields ?? {}).filter(([name]) => form.elements[name]?.closest?.(".field"));
  for (const [name, text] of named) {
    const input = form.elements[name];
    const note = el("p", { class: "error", id: `${input.id}-error` }, text);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.closest(".field").append(note);
  }
  form.elements[named[0]?.[0]]?.focus();
  error.textContent = named.length ? "" : cause.message;
  error.hidden = named.length > 0;
}
