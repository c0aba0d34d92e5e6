// What all views share: loading with words for every failure, drawing in place, and one listener for all their buttons.
// A view draws from what it knows (`parts`), asks for it (`load`), and names what its buttons do (`acts`).

import { el } from "../dom.js";
import { morph } from "./morph.js";
import { failure, nothing } from "./parts.js";

const SOON_MS = 1_000;

export class View {
  title = "";
  body = el("div", { class: "view" });
  /** The name of a button's `data-act` to what it does: (data, button) => promise. */
  acts = {};
  loaded = false;
  failure = null;
  #loading = false;
  #again = false;
  #soon = 0;
  #closed = false;

  constructor(app, place) {
    this.app = app;
    this.place = place;
    this.body.addEventListener("click", (event) => this.#click(event));
  }

  /** Draws what stands already, then asks for the rest. */
  open() {
    this.draw();
    return this.reload();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#soon);
  }

  get closed() {
    return this.#closed;
  }

  async reload() {
    this.#again = this.#loading;
    if (this.#loading || this.#closed) return;
    this.#loading = true;
    clearTimeout(this.#soon);
    this.#soon = 0;
    try {
      await this.load();
      this.failure = null;
      this.loaded = true;
    } catch (error) {
      this.failure = error;
      report(error);
    }
    this.#loading = false;
    this.draw();
    if (this.#again) this.soon(0);
  }

  /** Loads again in a moment, once for however many reasons there are until then. */
  soon(ms = SOON_MS) {
    if (!this.#soon && !this.#closed) this.#soon = setTimeout(() => { this.#soon = 0; this.reload(); }, ms);
  }

  draw() {
    if (this.#closed) return;
    const content = this.loaded ? this.parts() : this.failure ? [] : [nothing("Loading …")];
    const trouble = this.failure && failure(this.failure);
    const fresh = el("div", { class: "view", "aria-busy": !this.loaded && !this.failure && "true" },
      ...this.heads().filter(Boolean), trouble, ...content.filter(Boolean));
    morph(this.body, fresh);
    this.mount();
  }

  // For views to say ------------------------------------------------------------------

  async load() {}
  heads() { return []; }
  parts() { return []; }
  /** Puts what draws itself into its slots. */
  mount() {}
  /** Events of the log, in order, as they happen. */
  events() {}
  /** The hub's counters and health are new. */
  hub() {}
  progress() {}

  async #click(event) {
    const button = event.target.closest("button[data-act]");
    if (!button || button.disabled) return;
    if (button.dataset.act === "reload") return this.reload();
    const act = this.acts[button.dataset.act];
    if (!act) return;
    button.disabled = true;
    button.dataset.busy = "";
    try {
      await act(button.dataset, button);
    } catch (error) {
      this.app.failed(error);
      report(error);
    } finally {
      button.disabled = false;
      delete button.dataset.busy;
    }
  }
}

/** What is no answer of the hub's is a mistake of this page, and belongs into the browser's log too. */
function report(error) {
  if (error.name !== "ApiError") (globalThis.reportError ?? console.error)(error);
}
