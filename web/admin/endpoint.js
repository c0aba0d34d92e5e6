// One webhook endpoint, or all payments' own callbacks (`callbacks`): what it hears, how it fares, and what can be done with it.

import { count, el } from "../dom.js";
import * as calls from "./calls.js";
import { DeliveryRows } from "./delivery-rows.js";
import { ask, showSecret } from "./dialog.js";
import { endpointFields, readFields, wireEvents } from "./endpoint-form.js";
import { ago, badge, button, card, code, facts, head, nothing } from "./parts.js";
import { recover } from "./recover.js";
import { View } from "./view.js";
import { disabledBecause } from "./words.js";

const SHOWN = 20;
/** The hub counts no further. */
const OWED_COUNTED = 10_000;
const TEST_WITHIN_MS = 25_000;
const TEST_ASK_MS = 500;

export class EndpointView extends View {
  title = "Endpoint";
  #endpoint = null;
  #deliveries = [];
  #test = null; // the delivery of the last test
  #rows = new DeliveryRows(this);

  constructor(app, place) {
    super(app, place);
    this.id = place.id;
    this.callbacks = place.id === "callbacks";
    Object.assign(this.acts, {
      edit: () => this.#edit(), rotate: () => this.#rotate(), remove: () => this.#remove(), test: () => this.#try(),
      enable: () => this.#use("enabled"), disable: () => this.#disable(),
      recover: async () => { if (await recover(this.app, this.id)) await this.#anew(); },
    });
  }

  async load() {
    const [endpoint, deliveries] = await Promise.all([this.app.endpoints.one(this.id), calls.deliveries({ endpoint: this.id, limit: SHOWN })]);
    this.#endpoint = endpoint;
    this.#deliveries = deliveries.data;
    this.title = this.callbacks ? "Callbacks" : `Endpoint ${endpoint.id}`;
    this.app.retitle(this.title);
  }

  events() {
    this.soon();
  }

  hub() {
    this.soon();
  }

  heads() {
    const e = this.#endpoint;
    const back = { href: "#/endpoints", text: "Endpoints" };
    if (this.callbacks) return [head("Payments' own callbacks", { back, under: "Webhooks to the callback_url that each payment was created with.", actions: this.#actions() })];
    if (!e) return [head("Endpoint", { back, under: this.id })];
    return [head([el("span", { class: "break" }, e.url), " ", badge(e.status)], { back, under: [e.id, e.description].filter(Boolean).join(" · "), actions: this.#actions() })];
  }

  #actions() {
    const e = this.#endpoint;
    if (!e || !this.app.may("admin")) return [];
    if (this.callbacks) return [e.secrets_in === "store" && button("Rotate secret", "rotate"), button("Recover …", "recover")];
    const enabled = e.status === "enabled";
    return [
      enabled && button("Send a test", "test", {}, "primary"),
      !enabled && button("Enable", "enable", {}, "primary"),
      button("Edit", "edit"), button("Rotate secret", "rotate"), enabled && button("Recover …", "recover"),
      enabled && button("Disable", "disable"), button("Delete", "remove", {}, "danger-quiet"),
    ];
  }

  parts() {
    const e = this.#endpoint;
    const about = this.callbacks
      ? facts(["Secret", e.secrets_in === "configuration" ? "in the configuration, as webhook_secrets: rotate it there" : "kept by the hub, one for all callbacks"],
        ["The old secret", e.old_key_signs_until && ["signs too until ", ago(e.old_key_signs_until)]])
      : facts(["Events", e.events[0] === "*" ? "everything" : el("span", { class: "chips" }, ...e.events.map((name) => el("code", {}, name)))],
        ["Created", ago(e.created_at)],
        ["Disabled", e.disabled_at && [ago(e.disabled_at), `: ${disabledBecause(e.disabled_reason)}`]],
        ["Failing", e.status === "enabled" && e.failing_since && el("span", { class: "bad-text" }, "since ", ago(e.failing_since))],
        ["Owed to it", e.deliveries_due !== undefined && owed(e)],
        ["Last success", e.last_success_at && ago(e.last_success_at)], ["Last failure", e.last_failure_at && ago(e.last_failure_at)],
        ["The old secret", e.old_key_signs_until && ["signs too until ", ago(e.old_key_signs_until)]]);
    return [
      el("section", { class: "card", "aria-label": "About it" }, about),
      this.#test ? this.#testResult() : null,
      card("Last webhooks", this.#deliveries.length ? this.#rows.draw(this.#deliveries) : nothing("Nothing was sent here yet."),
        this.#deliveries.length >= SHOWN ? el("p", { class: "more" }, el("a", { href: `#/deliveries?endpoint=${encodeURIComponent(this.id)}` }, "Show all")) : null),
    ];
  }

  #testResult() {
    const { delivery, over } = this.#test;
    const last = delivery?.attempt_log.at(-1);
    const text = !last ? (over ? "No answer yet. It is among the webhooks below." : "The test is on its way …")
      : delivery.state === "delivered" ? `It works: HTTP ${last.status} after ${last.latency_ms} ms.`
        : `It was not taken: ${last.status ? `HTTP ${last.status}` : "no answer"} after ${last.latency_ms} ms.`;
    const tone = !last ? "" : delivery.state === "delivered" ? "good" : "bad";
    return el("div", { class: `notice ${tone}`, role: "status", id: "test-result" }, el("p", {}, text),
      last?.detail ? el("pre", { class: "json" }, last.detail) : null);
  }

  /** After a deed: what is known of it is no longer so. */
  #anew() {
    this.app.endpoints.forget();
    return this.reload();
  }

  /** Waits for the first attempt, and tells what the receiver said. */
  async #try() {
    const { delivery_id: id } = await calls.test(this.id);
    const mine = (this.#test = { delivery: null, over: false });
    this.draw();
    const deadline = Date.now() + TEST_WITHIN_MS;
    while (!this.closed && mine === this.#test && Date.now() < deadline) {
      mine.delivery = await calls.delivery(id);
      if (mine.delivery.attempt_log.length) break;
      await new Promise((resolve) => setTimeout(resolve, TEST_ASK_MS));
    }
    mine.over = true;
    await this.#anew();
  }

  async #edit() {
    const done = await ask({
      title: "Change the endpoint", body: endpointFields(this.#endpoint), confirm: "Save", onOpen: wireEvents,
      run: (form) => calls.changeEndpoint(this.id, readFields(form)),
    });
    if (!done) return;
    this.app.said("The endpoint is changed.");
    await this.#anew();
  }

  async #use(status) {
    await calls.changeEndpoint(this.id, { status });
    this.app.said(status === "enabled" ? "The endpoint is in use again. Recover brings in what it missed." : "The endpoint is disabled.");
    await this.#anew();
  }

  async #disable() {
    const done = await ask({
      title: "Disable this endpoint?",
      body: [el("p", {}, "It is sent nothing more, and what is still owed to it is given up. You can enable it again and recover what it missed.")],
      confirm: "Disable it", tone: "danger", run: () => calls.changeEndpoint(this.id, { status: "disabled" }),
    });
    if (!done) return;
    this.app.said("The endpoint is disabled.");
    await this.#anew();
  }

  async #rotate() {
    const made = await ask({
      title: "Make a new secret?",
      body: [el("p", {}, "The old secret signs too for 24 hours: time to give your receiver the new one.")],
      confirm: "Make a new secret", run: () => calls.rotate(this.id),
    });
    if (!made) return;
    this.#anew();
    await showSecret({
      title: "The new secret", what: "the secret", secret: made.secret,
      text: "It is shown this once; the hub does not tell it again.",
    });
  }

  async #remove() {
    const done = await ask({
      title: "Delete this endpoint?",
      body: [el("p", {}, "What is still owed to ", code(this.#endpoint.url, "the URL"), " is given up, and its secret is gone."), el("p", {}, el("strong", {}, "It cannot be undone."))],
      confirm: "Delete it", tone: "danger",
      run: async () => {
        await calls.deleteEndpoint(this.id);
        return true;
      },
    });
    if (!done) return;
    this.app.endpoints.forget();
    this.app.said("The endpoint is deleted.");
    if (!this.closed) location.hash = "#/endpoints";
  }
}

/** What waits for an endpoint, and whether it is left alone for a while because it only failed. */
function owed({ deliveries_due: due, breaker_open_until: until }) {
  const text = due >= OWED_COUNTED ? `${count(OWED_COUNTED)} webhooks or more` : due === 1 ? "1 webhook" : `${count(due)} webhooks`;
  if (!until) return text;
  return until * 1000 > Date.now() ? [text, ", left alone; tried again ", ago(until)] : [text, ", being tried with one"];
}
