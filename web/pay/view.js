// Draws the checkout: a payment as story.js tells it. Knows nothing of where the facts come from.

import { $, copy, el, setText, short } from "../dom.js";
import { NETWORKS, NOTES, STATES, STEP_NAMES } from "./looks.js";

const NOTES_MAX = 5;
/** A longer amount is written smaller, above its button. */
const DIGITS_FEW = 7;
const COPIED_FOR_MS = 1800;
/** Unix seconds before the end at which a screen reader hears how much time is left. */
const SPOKEN_AT = [600, 300, 60];

export class View {
  #words;
  #shown = { state: null, notes: 0 };
  #spoken = null;
  #again = false;
  #copying = new WeakMap();

  constructor(words) {
    this.#words = words;
    document.documentElement.lang = words.language;
    document.documentElement.dir = words.direction;
    for (const node of document.querySelectorAll("[data-text]")) setText(node, words.say(node.dataset.text));
    for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words.say(node.dataset.label));
    for (const button of document.querySelectorAll(".copy-it")) setText(button, words.say("copy"));
    this.#onCopy($("copy-due"), () => $("due").textContent);
    this.#onCopy($("copy-address"), () => $("address").textContent);
    $("again").addEventListener("click", () => this.#showAgain());
    this.live({ state: "connecting" });
  }

  /** Before anything is known of another payment. */
  clear() {
    this.#shown = { state: null, notes: 0 };
    this.#spoken = null;
    this.#again = false;
    this.#show("loading");
    document.title = this.#words.say("page_name");
    $("qr").removeAttribute("src");
    $("qr").alt = "";
  }

  /** The payment as it stands. `told` is what story.js makes of it. */
  draw(payment, told) {
    const focused = document.activeElement;
    if (told.state !== this.#shown.state) this.#again = false;
    this.#show("payment");
    const sheet = $("sheet");
    Object.assign(sheet.dataset, { state: told.state, tone: STATES[told.state].tone, id: payment.payment_id });
    this.#drawHead(payment, told);
    this.#drawDue(payment, told);
    this.#drawNotes(told);
    this.#drawSteps(payment, told);
    this.#drawFacts(payment, told);
    this.#speak(told);
    this.#shown = { state: told.state, notes: told.notices.length };
    if (focused !== document.body && focused?.closest("[hidden]")) $("headline").focus({ preventScroll: true });
  }

  /** What is left of the time. Null: nobody can tell yet. */
  tick(payment, told, left, now) {
    const counts = told.due !== null && left !== null;
    $("timer").hidden = !counts;
    if (!counts) return;
    const days = left >= 172_800 ? Math.floor(left / 86_400) : 0;
    const clock = this.#words.clock(left - days * 86_400);
    setText($("left"), days ? this.#words.say("time_left_days", { count: days, clock }) : this.#words.say("time_left", { clock }));
    setText($("until"), this.#words.say("time_until", { time: this.#words.moment(payment.expires_at, now) }));
    const whole = Math.max(1, payment.expires_at - payment.created_at);
    $("ring").setAttribute("stroke-dashoffset", (100 - 100 * Math.min(1, left / whole)).toFixed(1));
    $("timer").dataset.short = left < 60;
    this.#speakTime(left);
  }

  live({ state, transport, retryInMs = 0 }) {
    const count = Math.max(1, Math.round(retryInMs / 1000));
    const text = {
      connecting: () => this.#words.say("live_connecting"),
      live: () => this.#words.say(transport === "sse" ? "live_over_http" : "live_now"),
      waiting: () => this.#words.say("live_waiting", { count }),
      ended: () => this.#words.say("live_ended"),
    }[state]();
    $("live").dataset.state = state;
    setText($("live-text"), text);
  }

  qr(image, address) {
    if (image) $("qr").src = image;
    $("qr").alt = image ? this.#words.say("qr_of", { address }) : this.#words.say("qr_none");
  }

  /** Why there is no payment to show. */
  trouble(title, text) {
    this.#show("trouble");
    setText($("trouble-title"), title);
    setText($("trouble-text"), text);
    document.title = this.#words.say("title_trouble");
    this.announce(`${title}. ${text}`);
  }

  announce(text) {
    setText($("announce"), text);
  }

  ring() {
    $("bell").classList.add("ringing");
  }

  #show(view) {
    document.body.dataset.view = view;
    $("trouble").hidden = view !== "trouble";
    $("opening").hidden = view !== "loading";
    $("sheet").hidden = view === "trouble";
  }

  #drawHead(payment, told) {
    const { head, tell, title } = STATES[told.state];
    const values = { asked: payment.amount_to_pay, received: told.received ?? payment.received_amount, missing: told.missing };
    const pieces = told.state === "waiting" && payment.match === "accumulate";
    setText($("order"), `${this.#words.say("fact_order")} ${payment.order_id}`);
    $("order").title = payment.order_id;
    setText($("headline"), this.#words.say(head));
    setText($("explain"), this.#words.say(pieces ? "tell_waiting_pieces" : tell, values));
    document.title = this.#words.say(title, { amount: told.due ?? told.received ?? payment.amount_to_pay });
    this.#drawConfirmations(payment, told);
    const back = told.state === "paid" ? returnAddress(payment.success_url) : null;
    $("return").hidden = !back;
    if (!back) return $("return").removeAttribute("href");
    $("return").href = back.href;
    setText($("return"), this.#words.say("return_to", { host: back.host }));
  }

  #drawConfirmations(payment, told) {
    $("confirming").hidden = told.state !== "confirming";
    const { confirmations: count, confirmations_required: needed } = payment;
    if (needed) Object.assign($("bar"), { max: needed, value: Math.min(count, needed) });
    else $("bar").removeAttribute("value");
    setText($("confirmations"), this.#confirmed(count, needed));
  }

  #confirmed(count, needed, text = "confirmations_of") {
    return count <= needed
      ? this.#words.say(text, { count, needed })
      : this.#words.say("confirmations", { count });
  }

  #drawDue(payment, told) {
    const offered = told.due !== null && (!told.guarded || this.#again);
    $("pay").hidden = !offered;
    $("again").hidden = told.due === null || !told.guarded || this.#again;
    const network = NETWORKS[payment.currency];
    setText($("network"), network ? this.#words.say(network.name) : payment.currency);
    setText($("warning"), network ? this.#words.say(network.warning) : this.#words.say("warning_other", { currency: payment.currency }));
    setText($("due-name"), this.#words.say(told.received ? "due_missing" : "due_amount"));
    const due = told.due ?? payment.amount_to_pay;
    setText($("due"), due);
    $("pay").dataset.digits = due.length > DIGITS_FEW ? "many" : "few";
    if ($("address").textContent !== payment.wallet_address) $("address").replaceChildren(...readable(payment.wallet_address));
  }

  #showAgain() {
    this.#again = true;
    $("again").hidden = true;
    $("pay").hidden = false;
    $("copy-due").focus();
  }

  #drawNotes({ notices }) {
    const list = $("notes");
    const newest = notices.slice(-NOTES_MAX).reverse();
    const key = JSON.stringify(newest);
    list.hidden = newest.length === 0;
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...newest.map((note) => this.#note(note)));
  }

  #note({ kind, amount, transaction }) {
    const { tone, title, tell } = NOTES[kind];
    const row = el("li", { class: "note-card", "data-kind": kind, "data-tone": tone },
      el("p", { class: "note-title" }, this.#words.say(title, { amount })),
      el("p", { class: "note-tell" }, this.#words.say(tell)));
    if (transaction) row.append(this.#transaction(transaction));
    return row;
  }

  #transaction(hash) {
    const button = el("button", { type: "button", class: "copy-it small", "aria-label": this.#words.say("copy_transaction") }, this.#words.say("copy"));
    this.#onCopy(button, () => hash);
    const shown = el("code", { title: hash, dir: "ltr" }, this.#words.say("transaction", { hash: short(hash, 10, 8) }));
    return el("p", { class: "item-row" }, shown, button);
  }

  #drawSteps(payment, told) {
    const block = payment.transfers.findLast((t) => t.transaction_hash === payment.transaction_hash)?.block_number;
    const { confirmations: count, confirmations_required: needed } = payment;
    const ended = STATES[told.state].ended;
    const notes = [
      "",
      told.step >= 2 && block ? this.#words.say("step_block", { number: block }) : "",
      told.state === "confirming" || told.state === "paid" ? this.#confirmed(count, needed, "confirmations_short") : "",
      payment.completed_at && told.state === "paid" ? this.#words.moment(payment.completed_at, payment.chain_time) : "",
    ];
    const names = [...STEP_NAMES.slice(0, 3), ended ?? STEP_NAMES[3]];
    if (told.step > 0) names[0] = "step_sent";
    if (told.state === "partial") names[0] = "step_rest";
    const fresh = names.map((name, i) => this.#step(this.#words.say(name), notes[i], placeOf(i, told.step, Boolean(ended))));
    const list = $("steps");
    if (list.children.length !== fresh.length) list.replaceChildren(...fresh);
    else fresh.forEach((step, i) => list.children[i].isEqualNode(step) || list.children[i].replaceWith(step));
  }

  #step(name, note, [state, mark]) {
    return el("li", { "data-state": state, "aria-current": state === "current" && "step" },
      el("span", { class: "mark", "aria-hidden": "true" }),
      el("span", { class: "name" }, el("span", { class: "hidden" }, `${this.#words.say(mark)} `), name),
      el("span", { class: "note" }, note));
  }

  #drawFacts(payment, told) {
    const usdt = (amount) => this.#words.say("amount_in_usdt", { amount });
    const rows = [
      ["fact_order", payment.order_id],
      ["fact_asked", usdt(payment.amount_to_pay)],
      told.received && ["fact_received", usdt(told.received)],
      ["fact_address", payment.wallet_address, "mono"],
      ["fact_payment", payment.payment_id, "mono"],
    ].filter(Boolean);
    const fresh = rows.map(([name, value, look]) => el("div", { "data-fact": name },
      el("dt", {}, this.#words.say(name)), el("dd", { class: look, dir: "auto" }, value)));
    const same = fresh.length === $("facts").children.length && fresh.every((row, i) => row.isEqualNode($("facts").children[i]));
    if (!same) $("facts").replaceChildren(...fresh);
  }

  /** Changes of state and new notes, not every confirmation. */
  #speak(told) {
    const said = [];
    if (this.#shown.state !== null && this.#shown.state !== told.state) said.push($("headline").textContent, $("explain").textContent);
    if (this.#shown.state !== null && told.notices > this.#shown.notes) said.push($("notes").firstElementChild.querySelector(".note-title").textContent);
    if (said.length) this.announce(said.join(". "));
  }

  #speakTime(left) {
    const mark = SPOKEN_AT.findLast((at) => left <= at) ?? null;
    const news = mark !== null && mark !== this.#spoken && this.#spoken !== null;
    if (news) this.announce(this.#words.say("time_spoken", { span: this.#words.say("span_minutes", { count: mark / 60 }) }));
    this.#spoken = mark ?? Infinity;
  }

  #onCopy(button, text) {
    const label = button.getAttribute("aria-label");
    button.addEventListener("click", async () => {
      const what = text();
      const done = await copy(what);
      setText(button, this.#words.say(done ? "copied" : "copy_failed"));
      button.dataset.done = done;
      button.removeAttribute("aria-label");
      this.announce(this.#words.say(done ? "copied_what" : "copy_failed_what", { what }));
      clearTimeout(this.#copying.get(button));
      this.#copying.set(button, setTimeout(() => {
        setText(button, this.#words.say("copy"));
        button.setAttribute("aria-label", label);
        delete button.dataset.done;
      }, COPIED_FOR_MS));
    });
  }
}

function placeOf(i, reached, ended) {
  if (i < reached) return ["done", "step_done_mark"];
  if (ended) return i === STEP_NAMES.length - 1 ? ["stopped", "step_ended_mark"] : ["todo", "step_to_come_mark"];
  return i === reached ? ["current", "step_now_mark"] : ["todo", "step_to_come_mark"];
}

/** Only a web page, and never a script in disguise. */
function returnAddress(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** The whole address; its two ends, which people compare, stand out. */
function readable(address) {
  return [el("b", {}, address.slice(0, 6)), address.slice(6, -6), el("b", {}, address.slice(-6))];
}
