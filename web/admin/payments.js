// Payments: one box that finds them by whatever is at hand, by status, page by page, live.

import { el, short } from "../dom.js";
import { Listing } from "./listing.js";
import { ago, badge, button, head, money, nothing, paymentLink, table, tabs } from "./parts.js";
import { refilter } from "./router.js";
import { searched } from "./search.js";
import { View } from "./view.js";
import { STATUSES } from "./words.js";

const HELD_MAX = 999;

export class PaymentsView extends View {
  title = "Payments";
  acts = {
    more: async () => {
      await this.#list.more();
      this.draw();
    },
    show: () => this.#showHeld(),
  };
  #held = new Map(); // new rows that wait until nobody is about to click on another
  #meanwhile = null; // events that come while a page is read, which may be older than they are
  #pointing = false;
  #fresh = new Set();

  constructor(app, place) {
    super(app, place);
    this.text = place.query.get("q") ?? "";
    this.status = STATUSES.includes(place.query.get("status")) ? place.query.get("status") : "";
    this.#startList();
    this.body.addEventListener("submit", (event) => this.#search(event));
    this.body.addEventListener("pointerover", ({ target, pointerType }) => {
      this.#pointing = pointerType === "mouse" && target.closest("tbody") !== null;
    });
    this.body.addEventListener("pointerleave", () => { this.#pointing = false; });
  }

  #list;
  #startList() {
    this.#list = new Listing((page) => searched(this.text, { status: this.status, ...page }), "payment_id");
    this.#held.clear();
  }

  async load() {
    const list = this.#list;
    this.#meanwhile = [];
    await list.refresh();
    if (list !== this.#list) return;
    this.#held.clear();
    for (const event of this.#meanwhile) this.#take(event);
    this.#meanwhile = null;
  }

  #search(event) {
    event.preventDefault();
    this.text = event.target.elements.q.value.trim();
    refilter("payments", { q: this.text, status: this.status });
    this.#startList();
    this.loaded = false;
    this.draw();
    this.reload();
  }

  /** An event holds its payment as it is now, so a row needs no question. */
  events(events) {
    for (const event of events) this.#take(event);
    this.#meanwhile?.push(...events);
    if (this.#held.size > HELD_MAX) this.soon();
    if (!this.#busy) this.#showHeld();
    else this.draw();
  }

  #take(event) {
    if (!event.payment_id || !event.status) return;
    const row = rowOf(event);
    const fits = !this.status || row.status === this.status;
    if (this.#list.has(row.payment_id)) {
      if (fits) this.#list.put(row);
      else this.#list.remove(row.payment_id);
    } else if (!fits) this.#held.delete(row.payment_id);
    else if (this.#held.has(row.payment_id) || this.#mayGrow(event)) {
      this.#held.set(row.payment_id, { ...this.#held.get(row.payment_id), ...row });
      // It was there before this list wanted it: only the hub knows its place.
      if (event.type !== "payment.created") this.soon();
    }
  }

  #mayGrow(event) {
    if (this.text) return false;
    return event.type === "payment.created" || Boolean(this.status);
  }

  /** Rows do not move under a pointer, under the focus, or out of the sight of whoever has scrolled down. */
  get #busy() {
    return this.#pointing || globalThis.scrollY > 200 || this.body.querySelector("tbody")?.contains(document.activeElement);
  }

  #showHeld() {
    this.#fresh = new Set(this.#held.keys());
    for (const row of this.#held.values()) this.#list.put(row);
    this.#held.clear();
    this.draw();
    this.#fresh.clear();
  }

  heads() {
    return [head("Payments", { under: "Every payment this hub watches or has watched, the newest first." }), this.#bar()];
  }

  #bar() {
    const href = (status) => `#/payments${status || this.text ? `?${new URLSearchParams({ ...(this.text && { q: this.text }), ...(status && { status }) })}` : ""}`;
    const box = el("input", {
      id: "q", name: "q", type: "search", autocomplete: "off", spellcheck: "false", value: this.text,
      placeholder: "Order, id, address or hash",
    });
    return el("div", { class: "bar" },
      el("form", { role: "search", class: "search" }, el("label", { for: "q", class: "hidden" }, "Find payments"), box, el("button", { type: "submit" }, "Find")),
      tabs("Status", [["", "All", href("")], ...STATUSES.map((status) => [status, capital(status), href(status)])], this.status));
  }

  parts() {
    const rows = this.#list.rows;
    const held = this.#held.size;
    return [
      held ? el("p", { class: "held" }, button(held === 1 ? "Show 1 new payment" : `Show ${held} new payments`, "show")) : null,
      rows.length ? this.#table(rows) : this.#empty(),
      this.#list.next ? el("p", { class: "more" }, button("Show older", "more")) : null,
      this.#list.full ? el("p", { class: "hint" }, `The newest ${rows.length} are shown. Search for older ones.`) : null,
    ];
  }

  #table(rows) {
    const columns = [
      ["Order", (p) => [paymentLink(p.payment_id, p.order_id ?? ""), el("span", { class: "sub mono" }, short(p.payment_id, 8, 6))], "wide"],
      ["Status", (p) => badge(p.status)],
      ["Asked", (p) => money(p.amount_to_pay), "number"],
      ["Received", (p) => (Number(p.received_amount) ? money(p.received_amount) : el("span", { class: "none" }, "–")), "number"],
      ["Address", (p) => el("code", { title: p.wallet_address }, short(p.wallet_address, 6, 6)), "desk"],
      ["Created", (p) => ago(p.created_at)],
    ];
    return el("div", { class: "card flush" },
      table("Payments, the newest first", columns, rows.map((row) => ({ key: row.payment_id, row, fresh: this.#fresh.has(row.payment_id) }))));
  }

  #empty() {
    if (this.text) return nothing(`Nothing was found for “${this.text}”. An order id and an address are found as a whole, a payment id and a hash too.`);
    if (this.status) return nothing(`No payment is ${this.status} right now.`);
    return nothing("No payments yet. A shop makes one with POST /v1/payments, you can try it on the ", el("a", { href: "/" }, "test page"), ".");
  }
}

/** The row of a payment by what an event tells of it. */
function rowOf(event) {
  const { payment_id, order_id, status, amount_to_pay, received_amount, wallet_address } = event;
  const made = event.type === "payment.created" && { created_at: Date.parse(event.timestamp) / 1000 };
  return { payment_id, order_id, status, amount_to_pay, received_amount, wallet_address, ...made };
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);
