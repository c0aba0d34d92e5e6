// Transfers that reached a watched address and settled nothing, until somebody decides.

import { el, short } from "../dom.js";
import * as calls from "./calls.js";
import { Listing } from "./listing.js";
import { ago, button, head, money, nothing, paymentLink, table } from "./parts.js";
import { View } from "./view.js";
import { reason } from "./words.js";

export class TransfersView extends View {
  title = "Transfers";
  #list = new Listing((page) => calls.transfers(page));

  constructor(app, place) {
    super(app, place);
    this.acts.more = async () => {
      await this.#list.more();
      this.draw();
    };
  }

  load() {
    return this.#list.refresh();
  }

  events(events) {
    for (const { type, transfer } of events) if (type === "transfer.assigned" && transfer) this.#list.remove(transfer.id);
    if (events.some(({ transfer }) => transfer)) this.soon();
  }

  heads() {
    return [head("Transfers that settled nothing", {
      under: "Wrong amount, too late, one too many: money that reached a watched address and paid for nothing yet.",
    })];
  }

  parts() {
    const rows = this.#list.rows;
    if (!rows.length) return [nothing("Nothing is left over: every transfer to a watched address settled a payment.")];
    const columns = [
      ["Amount", (t) => el("a", { href: `#/transfers/${encodeURIComponent(t.id)}` }, money(t.amount))],
      ["Why", (t) => reason(t.reason)],
      ["Probably for", (t) => (t.payment_id ? paymentLink(t.payment_id) : el("span", { class: "none" }, "unknown"))],
      ["To", (t) => el("code", { title: t.to }, short(t.to, 6, 6)), "desk"],
      ["Final", (t) => (t.final ? "yes" : `${t.confirmations} deep`)],
      ["When", (t) => ago(t.block_timestamp)],
      ["Action", (t) => (this.app.may("admin") ? el("a", { class: "button small", href: `#/transfers/${encodeURIComponent(t.id)}`, "aria-label": `Assign ${t.amount} USDT` }, "Assign") : null), "end"],
    ].map(([name, cell, tone]) => [name, (t) => cell(t) ?? "", tone]);
    return [
      el("div", { class: "card flush" }, table("Transfers that settled nothing, the newest first", columns, rows.map((row) => ({ key: row.id, row })))),
      this.#list.next ? el("p", { class: "more" }, button("Show older", "more")) : null,
    ];
  }
}
