// Webhook deliveries as rows that open to show every attempt. Used by all views that have some; asks for attempts when a row opens.

import { el, short } from "../dom.js";
import * as calls from "./calls.js";
import { ago, badge, button, facts, paymentLink, table } from "./parts.js";
import { givenUp } from "./words.js";

const LOGS_MAX = 200;

export class DeliveryRows {
  #view;
  #logs = new Map(); // delivery id -> { state, attempts, log | error }
  #open = new Set();

  constructor(view) {
    this.#view = view;
    view.body.addEventListener("toggle", (event) => this.#toggled(event.target), true);
    view.acts.redeliver = ({ id }) => this.#redeliver(id);
  }

  draw(deliveries) {
    for (const delivery of deliveries) if (this.#open.has(delivery.id)) this.#ask(delivery);
    return el("ul", { class: "rows deliveries" }, ...deliveries.map((delivery) => this.#row(delivery)));
  }

  #row(delivery) {
    const { id, type, state, sequence, payment_id, next_attempt_at } = delivery;
    const summary = el("summary", {},
      el("span", { class: "row" },
        el("span", { class: "what" }, type), badge(state),
        el("span", { class: "detail" }, outcome(delivery)),
        state === "due" ? el("span", { class: "detail" }, ...nextTry(next_attempt_at)) : null),
      ago(delivery.created_at));
    const body = el("div", { class: "opened" },
      facts(["To", el("code", {}, delivery.url)], ["Endpoint", endpointWord(delivery.endpoint)],
        ["Payment", payment_id && paymentLink(payment_id)], ["Event", `#${sequence}`], ["Delivery", el("code", {}, id)],
        ["Given up", delivery.given_up && givenUp(delivery.given_up)]),
      this.#log(id),
      this.#view.app.may("admin") ? el("p", { class: "actions" }, button("Send it again now", "redeliver", { id })) : null);
    return el("li", { "data-key": id, "data-id": id, "data-state": state, "data-payment": payment_id }, el("details", {}, summary, body));
  }

  #log(id) {
    const known = this.#logs.get(id);
    if (!known) return el("p", { class: "hint" }, "Reading its attempts …");
    if (known.error) return el("p", { class: "error" }, known.error.message);
    if (!known.log.length) return el("p", { class: "hint" }, "Not tried yet.");
    const none = () => el("span", { class: "none" }, "–");
    const columns = [
      ["Attempt", ({ number }) => `No. ${number}`],
      ["When", ({ at }) => ago(at)],
      ["Answer", ({ status }) => (status ? `HTTP ${status}` : "no answer")],
      ["Took", ({ latency_ms: latency }) => `${latency} ms`, "number"],
      ["What it said", ({ detail }) => detail || none(), "said"],
      ["Next try", ({ next_attempt_at: next }) => (next ? ago(next) : none())],
    ];
    const rows = known.log.map((attempt, at) => ({ key: `attempt ${at}`, row: { ...attempt, number: at + 1 } }));
    return el("div", { class: "scroll attempts", tabindex: "0", role: "region", "aria-label": `Attempts of ${id}` },
      table(`Attempts of ${id}, the oldest first`, columns, rows));
  }

  #toggled(details) {
    const id = details.closest?.(".deliveries > li")?.dataset.id;
    if (!id) return;
    if (!details.open) return void this.#open.delete(id);
    this.#open.add(id);
    this.#view.draw();
  }

  /** Reads the attempts once for each state of a delivery. */
  async #ask({ id, state, attempts }) {
    const before = this.#logs.get(id);
    if (before && before.state === state && before.attempts === attempts && !before.error) return;
    if (this.#logs.size >= LOGS_MAX) this.#logs.delete(this.#logs.keys().next().value);
    this.#logs.set(id, { log: before?.log ?? [], state, attempts });
    try {
      this.#logs.set(id, { state, attempts, log: (await calls.delivery(id)).attempt_log });
    } catch (error) {
      this.#logs.set(id, { state, attempts, error });
    }
    this.#view.draw();
  }

  async #redeliver(id) {
    await calls.redeliver(id);
    this.#view.app.said("It is on its way again.");
    this.#logs.delete(id);
    await this.#view.reload();
    this.#view.soon();
  }
}

/** Its time may have come while others of the same payment or receiver go first. */
const nextTry = (at) => (at * 1000 > Date.now() ? ["next try ", ago(at)] : ["waits for its turn"]);

/** What became of it, in a few words. */
function outcome({ last_status: status, last_error: error, latency_ms: latency, attempts, url, given_up }) {
  return [
    status ? `HTTP ${status}` : error && short(error, 60, 0),
    Number.isFinite(latency) ? `${latency} ms` : "",
    attempts === 0 ? "not tried yet" : attempts > 1 ? `${attempts} tries` : "",
    given_up ? givenUp(given_up) : "",
    URL.canParse(url) ? new URL(url).host : "",
  ].filter(Boolean).join(" · ");
}

export const endpointWord = (id) => (id === "callbacks"
  ? el("a", { href: "#/endpoints/callbacks" }, "the payment's own callback")
  : el("a", { href: `#/endpoints/${encodeURIComponent(id)}` }, id));
