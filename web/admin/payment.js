// One payment with everything that is known of it, live, and what an operator can do about it.

import { clientToken } from "../api.js";
import { count, el, jsonRow } from "../dom.js";
import * as calls from "./calls.js";
import { DeliveryRows } from "./delivery-rows.js";
import { ask } from "./dialog.js";
import { ago, badge, button, card, code, facts, head, money, nothing, table } from "./parts.js";
import { View } from "./view.js";
import { reason, sentence } from "./words.js";

const EVENTS_MAX = 500;

export class PaymentView extends View {
  title = "Payment";
  #payment = null;
  #events = new Map();
  #moreEvents = null;
  #deliveries = [];
  #transfers = [];
  #rows = new DeliveryRows(this);

  constructor(app, place) {
    super(app, place);
    this.id = place.id;
    this.acts.cancel = () => this.#cancel();
    this.acts.events = () => this.#readEvents();
    app.line?.watch(this.id);
  }

  close() {
    super.close();
    this.app.line.watch(null);
  }

  async load() {
    const [payment, deliveries, transfers] = await Promise.all([
      calls.payment(this.id), calls.deliveries({ payment_id: this.id, limit: 100 }), calls.transfers({ payment_id: this.id, limit: 100 })]);
    this.#payment = payment;
    this.#deliveries = deliveries.data;
    this.#transfers = transfers.data;
    await this.#readEvents();
    this.title = `Payment ${payment.order_id}`;
    this.app.retitle(this.title);
  }

  /** Goes on after the last event that is known. */
  async #readEvents() {
    const newest = Math.max(0, ...this.#events.keys());
    const page = await calls.paymentEvents(this.id, newest || undefined);
    for (const event of page.data) this.#events.set(event.sequence, event);
    this.#moreEvents = page.next;
    if (this.loaded) this.draw();
  }

  events(events) {
    const own = events.filter((event) => event.payment_id === this.id);
    if (!this.loaded) return void (own.length && this.soon());
    for (const event of own) {
      if (this.#events.size < EVENTS_MAX && !this.#moreEvents) this.#events.set(event.sequence, event);
      if (event.status) Object.assign(this.#payment, { status: event.status, received_amount: event.received_amount, confirmations: event.confirmations });
    }
    const assigned = events.some((event) => event.type === "transfer.assigned");
    if (own.length) this.draw();
    if (own.length || assigned) this.soon(300);
  }

  progress(id, { confirmations, required }) {
    if (id !== this.id || !this.#payment) return;
    Object.assign(this.#payment, { confirmations, confirmations_required: required });
    this.draw();
  }

  /** A delivery tells of itself only when it is asked. */
  hub() {
    if (this.#deliveries.some(({ state }) => state === "due")) this.soon();
  }

  async #cancel() {
    const payment = this.#payment;
    const done = await ask({
      title: "Cancel this payment?",
      body: [el("p", {}, `Nobody waits for ${payment.amount_to_pay} USDT of order ${payment.order_id} any more. It cannot be opened again; money that still arrives is kept and listed under Transfers.`)],
      confirm: "Cancel the payment", cancel: "Keep it", tone: "danger",
      run: () => calls.cancel(this.id),
    });
    if (!done) return;
    this.app.said("The payment is cancelled.");
    await this.reload();
  }

  heads() {
    const payment = this.#payment;
    const back = { href: "#/payments", text: "Payments" };
    if (!payment) return [head("Payment", { back, under: el("code", {}, this.id) })];
    const checkout = checkoutAddress(payment);
    return [head([payment.order_id, " ", badge(payment.status)], {
      back,
      under: code(payment.payment_id, "the payment id"),
      actions: [
        el("a", { class: "button", ...checkout.link }, checkout.text),
        payment.status === "pending" && this.app.may("write") && button("Cancel payment", "cancel", {}, "danger-quiet"),
      ],
    })];
  }

  parts() {
    return [
      el("div", { class: "columns-2", "data-key": "about" }, this.#money(), this.#facts()),
      this.#settled(),
      this.#unsettled(),
      card("Events", this.#eventRows(), this.#moreEvents ? el("p", { class: "more" }, button("Show later ones", "events")) : null),
      card("Webhooks", this.#deliveries.length ? this.#rows.draw(this.#deliveries)
        : nothing("No webhook is owed for this payment: it has no callback, and no endpoint wants its events.")),
    ];
  }

  #money() {
    const p = this.#payment;
    const bar = p.status === "confirming" && p.confirmations_required
      ? el("p", { class: "progress-line" },
        el("progress", { max: p.confirmations_required, value: Math.min(p.confirmations, p.confirmations_required), "aria-label": "Confirmations" }),
        ` ${p.confirmations} of ${p.confirmations_required} confirmations`)
      : null;
    return el("section", { class: "card", "aria-label": "Money" },
      el("div", { class: "amounts" },
        el("p", {}, el("span", { class: "fact-name" }, "To pay"), el("span", { class: "amount" }, p.amount_to_pay, el("span", { class: "unit" }, " USDT"))),
        el("p", {}, el("span", { class: "fact-name" }, "Received"), el("span", { class: "amount" }, p.received_amount, el("span", { class: "unit" }, " USDT")))),
      bar,
      facts(
        ["Asked for", p.amount_to_pay !== p.expected_amount && money(p.expected_amount)],
        ["Address", code(p.wallet_address, "the address")],
        ["Wallet", p.wallet && `${p.wallet}, ${p.derivation_path}`],
        ["Paid by", p.match === "exact" ? "one transfer" : "several transfers"],
        ["Tolerance", p.tolerance !== "0" && `${p.tolerance} base units`],
        ["Counts when", p.finality === "final" ? "its block is final" : `${p.finality} blocks deep`]));
  }

  #facts() {
    const p = this.#payment;
    const meta = JSON.stringify(p.metadata, null, 2);
    return el("section", { class: "card", "aria-label": "Times and facts" }, facts(
      ["Created", ago(p.created_at)], ["Expires", ago(p.expires_at)], ["Completed", p.completed_at && ago(p.completed_at)],
      ["Chain", p.chain],
      ["Chain time", p.chain_time && ago(p.chain_time)],
      ["Transaction", p.transaction_hash && code(p.transaction_hash, "the transaction hash", `${p.transaction_hash.slice(0, 12)}…${p.transaction_hash.slice(-8)}`)],
      ["Then goes to", p.success_url && el("code", {}, p.success_url)],
      ["Callback", p.callback_disabled && "ended: it answered 410"],
      ["Metadata", meta !== "{}" && el("pre", { class: "json" }, meta)]));
  }

  #settled() {
    const rows = this.#payment.transfers;
    if (!rows.length) return null;
    const columns = [
      ["Amount", (t) => money(t.amount)],
      ["State", (t) => [badge(t.state), t.settled_by === "hand" ? el("span", { class: "sub" }, "assigned by hand") : null].filter(Boolean)],
      ["Block", (t) => count(t.block_number), "number"],
      ["From", (t) => el("code", { title: t.from }, `${t.from.slice(0, 6)}…${t.from.slice(-6)}`)],
      ["Transaction", (t) => code(t.transaction_hash, "the transaction hash", `${t.transaction_hash.slice(0, 8)}…${t.transaction_hash.slice(-6)}`)],
      ["When", (t) => ago(t.block_timestamp)],
    ];
    return card("Transfers", table("Transfers that settle this payment", columns, rows.map((row) => ({ key: `${row.transaction_hash} ${row.log_index}`, row }))));
  }

  #unsettled() {
    if (!this.#transfers.length) return null;
    const columns = [
      ["Amount", (t) => money(t.amount)], ["Why", (t) => reason(t.reason)],
      ["When", (t) => ago(t.block_timestamp)],
      ["Action", (t) => el("a", { href: `#/transfers/${encodeURIComponent(t.id)}` }, this.app.may("admin") ? "Look and assign" : "Look"), "end"],
    ];
    return card("Settled nothing", table("Transfers that were probably meant for this payment", columns, this.#transfers.map((row) => ({ key: row.id, row }))));
  }

  #eventRows() {
    const events = [...this.#events.values()].sort((a, b) => b.sequence - a.sequence);
    return el("ol", { class: "rows", reversed: true }, ...events.map((event) => jsonRow(
      { "data-key": `event ${event.sequence}`, "data-type": event.type, "data-seq": event.sequence },
      [el("span", { class: "what" }, event.type), el("span", { class: "detail" }, sentence(event))],
      ago(event.timestamp), event)));
  }
}

/** The payer's page where this tab may open it, else the test page in this tab, whose key shows it there. */
function checkoutAddress({ payment_id: id, checkout_url: told }) {
  const token = clientToken(id);
  const href = /^https?:/.test(told ?? "") ? told : token && `/pay/${id}#${token}`;
  if (href) return { text: "Open checkout", link: { href, target: "_blank", rel: "noopener" } };
  return { text: "Open on the test page", link: { href: `/#${id}` } };
}
