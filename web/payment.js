// Draws one payment: what to pay, how far it is, its transfers, its events. Knows nothing of where they come from.

import { $, copyable, count, el, jsonRow, moment, setText, short, span, time } from "./dom.js";

const ENDED = { expired: "Expired", cancelled: "Cancelled", underpaid: "Underpaid" };

export const isOpen = (payment) => payment.status === "pending" || payment.status === "confirming";
export const amountToPay = (payment) => String(payment.amount_to_pay ?? payment.expected_amount ?? payment.expected_amount_usdt);

export class PaymentView {
  #payment = null;
  #numbers = new Set();
  #factsShown = "";

  /** Starts afresh for another payment. */
  clear() {
    this.#payment = null;
    this.#numbers.clear();
    this.#factsShown = "";
    for (const id of ["events", "facts", "steps", "transfers"]) $(id).replaceChildren();
    $("qr").removeAttribute("src");
    $("qr").alt = "";
    setText($("say"), "");
    setText($("action-error"), "");
  }

  show(payment) {
    this.#payment = payment;
    $("blank").hidden = true;
    const part = $("payment");
    part.hidden = false;
    part.dataset.status = payment.status;
    part.dataset.id = payment.payment_id;
    this.#drawTicket();
    this.#drawProgress();
    this.#drawTransfers();
  }

  /** Adds an event once, in its place by number. `source` tells how it got here: socket or history. */
  addEvent(event, source) {
    if (this.#numbers.has(event.sequence)) return;
    this.#numbers.add(event.sequence);
    const summary = [
      el("span", { class: "what" }, event.type),
      el("span", { class: "detail" }, sentence(event)),
      source === "socket" ? el("span", { class: "badge live", title: "came over the socket" }, "live") : null,
    ];
    const row = jsonRow({ "data-seq": event.sequence, "data-type": event.type, "data-source": source }, summary.filter(Boolean), time(event.timestamp), event);
    const older = [...$("events").children].find((other) => Number(other.dataset.seq) < event.sequence);
    $("events").insertBefore(row, older ?? null);
  }

  #drawTicket() {
    const p = this.#payment;
    setText($("payment-title"), p.order_id ? `Payment ${p.order_id}` : "Payment");
    setText($("amount"), amountToPay(p));
    setText($("amount-name"), isOpen(p) ? "Amount to pay" : "Amount asked for");
    $("cancel").hidden = p.status !== "pending";
    const shown = JSON.stringify([p.status, p.wallet_address, amountToPay(p), receivedAmount(p), p.expires_at, p.payment_id]);
    if (shown !== this.#factsShown) $("facts").replaceChildren(...facts(p));
    this.#factsShown = shown;
    this.tick();
  }

  /** The time that is left. The chain's clock decides, so after the deadline there may still be something to wait for. */
  tick() {
    for (const node of $("facts").querySelectorAll("[data-until]")) {
      const left = (Number(node.dataset.until) - Date.now()) / 1000;
      setText(node, left > 0 ? `in ${span(left)}` : "the chain is still being read up to then");
    }
  }

  #drawProgress() {
    const p = this.#payment;
    const { confirmations, confirmations_required: required } = p;
    const fresh = steps(p, confirmations, required);
    const list = $("steps");
    if (list.children.length !== fresh.length) list.replaceChildren(...fresh);
    else fresh.forEach((step, i) => list.children[i].isEqualNode(step) || list.children[i].replaceWith(step));
    setText($("say"), statusSentence(p));
    document.title = `${titleMark(p.status)} ${amountToPay(p)} USDT · paybell`;

    $("confirming").hidden = p.status !== "confirming";
    const bar = $("confirmations");
    if (required) {
      bar.max = required;
      bar.value = Math.min(confirmations, required);
    } else bar.removeAttribute("value");
    setText($("confirmations-text"), required ? `${confirmations} of ${required} confirmations` : `${confirmations} confirmations so far`);
  }

  #drawTransfers() {
    const transfers = this.#payment.transfers ?? [];
    $("transfers-part").hidden = transfers.length === 0;
    const rows = transfers.map((t) => el("li", { class: "transfer" },
      el("span", { class: "what" }, `${t.amount} USDT`),
      el("span", { class: `badge ${t.state}` }, t.state),
      el("span", { class: "detail" }, `block ${count(t.block_number)} · from ${short(t.from ?? "", 6, 6)}`),
      copyable(t.transaction_hash, "the transaction hash", short(t.transaction_hash, 10, 8))));
    const same = rows.length === $("transfers").children.length && rows.every((row, i) => row.isEqualNode($("transfers").children[i]));
    if (!same) $("transfers").replaceChildren(...rows);
  }
}

/** The exact text of what arrived, or "" when nothing did. */
function receivedAmount(payment) {
  const amount = payment.received_amount ?? payment.received_amount_usdt;
  return amount === null || amount === undefined || Number(amount) === 0 ? "" : String(amount);
}

function facts(payment) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
  const got = receivedAmount(payment);
  const until = payment.expires_at && isOpen(payment) ? moment(payment.expires_at).getTime() : null;
  return [
    fact("To", copyable(payment.wallet_address, "the address")),
    payment.status === "pending" && fact("Exactly", copyable(amountToPay(payment), "the amount")),
    got && fact("Received", `${got} USDT`),
    until && fact("Expires", time(until), " ", el("span", { class: "left", "data-until": until })),
    fact("Payment id", copyable(payment.payment_id, "the payment id", short(payment.payment_id, 13, 4))),
  ].filter(Boolean);
}

/** Waiting, seen, confirming, completed: each step done, current, to do, or where it stopped. */
function steps(payment, confirmations, required) {
  const reached = { pending: 0, confirming: 2, completed: 4 }[payment.status] ?? (receivedAmount(payment) ? 2 : 1);
  const ended = ENDED[payment.status];
  const block = payment.transfers?.find((t) => t.transaction_hash === payment.transaction_hash)?.block_number;
  const made = moment(payment.created_at);
  const steps = [
    ["Waiting", Number.isNaN(made.getTime()) ? "" : time(payment.created_at)],
    ["Seen in a block", reached >= 2 && block ? `block ${count(block)}` : ""],
    ["Confirmed", confirmationNote(payment.status, confirmations, required)],
    [ended ?? "Completed", payment.completed_at && payment.status === "completed" ? time(payment.completed_at) : ""],
  ];
  return steps.map(([name, note], i) => {
    let state = i < reached ? "done" : i === reached ? "current" : "todo";
    if (ended) state = i < reached ? "done" : i === 3 ? "stopped" : "todo";
    const told = { done: "done: ", stopped: "ended: ", todo: "to come: ", current: "now: " }[state];
    return el("li", { "data-state": state, "aria-current": state === "current" && "step" },
      el("span", { class: "mark", "aria-hidden": "true" }),
      el("span", { class: "name" }, el("span", { class: "hidden" }, told), name),
      el("span", { class: "note" }, note));
  });
}

function confirmationNote(status, confirmations, required) {
  if (status === "confirming") return required ? `${confirmations} of ${required}` : String(confirmations);
  return status === "completed" && confirmations > 0 ? `${confirmations} blocks` : "";
}

function statusSentence(payment) {
  const asked = `${amountToPay(payment)} USDT`;
  const got = receivedAmount(payment);
  switch (payment.status) {
    case "pending": return got ? `${got} of ${asked} has arrived. Waiting for the rest.` : `Waiting for ${asked}.`;
    case "confirming": return "The payment is in a block. Waiting until that block is final.";
    case "completed": return `Completed: ${got || amountToPay(payment)} USDT arrived and cannot be taken back.`;
    case "underpaid": return `Underpaid: ${got || "only a part"} of ${asked} arrived.`;
    case "expired": return `Expired: ${asked} did not arrive in time.`;
    case "cancelled": return "Cancelled. Nobody is waiting for it any more.";
    default: return `Status: ${payment.status}.`;
  }
}

const titleMark = (status) => ({ pending: "Waiting for", confirming: "Confirming", completed: "Paid:" }[status] ?? ENDED[status] ?? status);

/** What an event means, in a few words. An unknown type simply shows its name. */
function sentence(event) {
  const got = event.received_amount ?? event.received_amount_usdt;
  const amount = got === null || got === undefined ? "a transfer" : `${got} USDT`;
  const sent = event.transfer ? `${event.transfer.amount} USDT` : "a transfer";
  return {
    "payment.created": "the hub is watching",
    "payment.detected": `${amount} seen in a block`,
    "payment.completed": `${amount}, final`,
    "payment.reverted": "its block was replaced; waiting again",
    "payment.underpaid": `${amount} is less than asked`,
    "payment.overpaid": `${amount} is more than asked`,
    "payment.mismatched": `${sent} is not the amount asked for`,
    "payment.late": `${sent} after the deadline`,
    "payment.expired": "not paid in time",
    "payment.cancelled": "cancelled by the merchant",
    "transfer.unmatched": `${sent} that settles nothing`,
    "transfer.assigned": `${sent} accepted by the merchant`,
  }[event.type] ?? "";
}
