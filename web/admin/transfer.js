// One transfer, and an operator's word on which payment it settles: find one, see both amounts side by side, say so once.

import { count, el, short } from "../dom.js";
import * as calls from "./calls.js";
import { ask } from "./dialog.js";
import { ago, badge, button, card, code, facts, head, money, nothing, paymentLink, table } from "./parts.js";
import { searched } from "./search.js";
import { View } from "./view.js";
import { reason } from "./words.js";

const FOUND_MAX = 20;

export class TransferView extends View {
  title = "Transfer";
  #transfer = null;
  #text = "";
  #found = [];
  #likely = null;

  constructor(app, place) {
    super(app, place);
    this.id = place.id;
    this.acts.assign = ({ id }) => this.#assign(id);
    this.body.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#text = event.target.elements.q.value.trim();
      this.reload();
    });
  }

  async load() {
    this.#transfer = await calls.transfer(this.id);
    if (this.#transfer.state !== "unmatched") return;
    const { payment_id: likely, to } = this.#transfer;
    const text = this.#text || to;
    const [guess, found] = await Promise.all([
      likely ? calls.payment(likely).catch(() => null) : null, searched(text, { limit: FOUND_MAX })]);
    this.#likely = guess;
    this.#found = found.data.filter((payment) => this.#text || payment.payment_id !== likely);
  }

  events(events) {
    const shown = [this.#likely, ...this.#found].filter(Boolean).map(({ payment_id }) => payment_id);
    if (events.some((event) => event.transfer?.id === this.id || shown.includes(event.payment_id))) this.soon();
  }

  hub() {
    if (this.#transfer && !this.#transfer.final) this.soon();
  }

  heads() {
    const t = this.#transfer;
    return [head(t ? [t.amount, " USDT"] : "Transfer", {
      back: { href: "#/transfers", text: "Transfers" },
      under: t?.state === "unmatched" ? `Settled nothing: ${reason(t.reason)}.` : null,
    })];
  }

  parts() {
    const t = this.#transfer;
    const about = el("section", { class: "card", "aria-label": "The transfer" }, facts(
      ["State", badge(t.state)], ["Why", t.reason && reason(t.reason)],
      ["Settles", t.state === "credited" && t.payment_id && paymentLink(t.payment_id)],
      ["By", t.settled_by === "hand" ? "an operator's word" : t.settled_by && "its amount and address"],
      ["Assigned", t.assigned && ago(t.assigned.at)], ["Assigned by", t.assigned?.by],
      ["To", code(t.to, "the receiving address")], ["From", code(t.from, "the sending address")],
      ["Transaction", code(t.transaction_hash, "the transaction hash", `${t.transaction_hash.slice(0, 12)}…${t.transaction_hash.slice(-8)}`)],
      ["Block", `${count(t.block_number)}, ${t.final ? "final" : `${t.confirmations} confirmations`}`],
      ["When", ago(t.block_timestamp)], ["Chain", t.chain]));
    return [about, t.state === "unmatched" ? this.#choice() : null];
  }

  #choice() {
    const mayAssign = this.app.may("admin");
    const likely = this.#likely;
    return el("section", { class: "card", "aria-label": "Which payment does it settle?" },
      el("h2", {}, mayAssign ? "Which payment does it settle?" : "Which payment may it be for?"),
      mayAssign ? null : el("p", { class: "hint" }, "Assigning it takes a key of scope admin."),
      likely && el("h3", {}, "Probably this one"),
      likely && this.#payments("The payment that it was probably meant for", [likely]),
      el("form", { role: "search", class: "search" },
        el("label", { for: "q", class: "hidden" }, "Find another payment"),
        el("input", { id: "q", name: "q", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "Order, id or address" }),
        el("button", { type: "submit" }, "Find")),
      el("h3", {}, this.#text ? "Found" : likely ? "Others of the same address" : "Of the same address"),
      this.#found.length ? this.#payments("Payments to choose from", this.#found)
        : nothing(this.#text ? `Nothing was found for “${this.#text}”.` : "No other payment has this address. Find one by its order, its id or its address."));
  }

  #payments(caption, rows) {
    const columns = [
      ["Order", (p) => [paymentLink(p.payment_id, p.order_id), el("span", { class: "sub mono" }, short(p.payment_id, 8, 6))], "wide"],
      ["Status", (p) => badge(p.status)],
      ["To pay", (p) => money(p.amount_to_pay), "number"],
      ["Received", (p) => money(p.received_amount), "number"],
      ["Created", (p) => ago(p.created_at)],
      this.app.may("admin") && ["Action", (p) => {
        const choose = button("Assign …", "assign", { id: p.payment_id }, "small");
        choose.setAttribute("aria-label", `Assign it to ${p.order_id}`);
        return choose;
      }, "end"],
    ].filter(Boolean);
    return table(caption, columns, rows.map((row) => ({ key: row.payment_id, row })));
  }

  async #assign(id) {
    const payment = [this.#likely, ...this.#found].find((one) => one?.payment_id === id);
    const t = this.#transfer;
    const side = (name, amount, ...more) => el("div", {}, el("p", { class: "fact-name" }, name),
      el("p", { class: "amount small" }, amount, el("span", { class: "unit" }, " USDT")), ...more.map((text) => el("p", { class: "hint" }, ...[text].flat())));
    const done = await ask({
      title: `Assign it to ${payment.order_id}?`,
      body: [
        el("div", { class: "sides" },
          side("The transfer", t.amount, reason(t.reason), ["came ", ago(t.block_timestamp)]),
          side("The payment", payment.amount_to_pay, `is ${payment.status}, has received ${payment.received_amount} USDT`, ["created ", ago(payment.created_at)])),
        payment.amount_to_pay === t.amount ? null : el("p", { class: "warn" }, "The two amounts are not the same."),
        payment.wallet_address === t.to ? null : el("p", { class: "warn" }, "The payment has another address than the one the money went to."),
        el("p", {}, "Your word overrides amount, time, address and status. ", el("strong", {}, "It cannot be undone.")),
      ],
      confirm: "Assign it", tone: "danger",
      run: () => calls.assign(this.id, id),
    });
    if (!done) return;
    this.app.said(`${t.amount} USDT now settle ${payment.order_id}.`);
    location.hash = `#/payments/${id}`;
  }
}
