// The account's webhook endpoints, and the callbacks that payments bring.

import { count, el } from "../dom.js";
import * as calls from "./calls.js";
import { ask, showSecret } from "./dialog.js";
import { endpointFields, readFields, wireEvents } from "./endpoint-form.js";
import { ago, badge, button, card, head, nothing, table } from "./parts.js";
import { View } from "./view.js";
import { disabledBecause } from "./words.js";

export class EndpointsView extends View {
  title = "Endpoints";
  #endpoints = [];
  acts = { create: () => this.#create() };

  async load() {
    this.#endpoints = await this.app.endpoints.all();
  }

  events(events) {
    if (events.some(({ type }) => type.startsWith("endpoint."))) this.soon();
  }

  hub() {
    if (this.app.endpoints.allDue) this.soon();
  }

  heads() {
    return [head("Webhook endpoints", {
      under: "They hear of all payments, beside the callbacks that payments bring.",
      actions: [this.app.may("admin") && button("Add endpoint", "create", {}, "primary")],
    })];
  }

  parts() {
    const columns = [
      ["Endpoint", (e) => [el("a", { href: `#/endpoints/${e.id}`, class: "break" }, e.url), el("span", { class: "sub" }, [e.id, e.description].filter(Boolean).join(" · "))], "wide"],
      ["Status", (e) => [badge(e.status), standing(e)].filter(Boolean)],
      ["Events", (e) => (e.events[0] === "*" ? "everything" : e.events.join(", ")), "events"],
      ["Owed", (e) => count(e.deliveries_due), "number"],
      ["Last success", (e) => (e.last_success_at ? ago(e.last_success_at) : el("span", { class: "none" }, "–"))],
    ];
    const rows = this.#endpoints.map((row) => ({ key: row.id, row }));
    return [
      rows.length ? el("div", { class: "card flush" }, table("Webhook endpoints", columns, rows))
        : nothing("No endpoints yet. Add one to hear of every payment without naming a callback for each."),
      card("Payments' own callbacks",
        el("p", {}, "Webhooks to the ", el("code", {}, "callback_url"), " that a payment was created with. They share one secret."),
        el("p", { class: "actions" }, el("a", { class: "button", href: "#/endpoints/callbacks" }, "Secret and recovery"),
          el("a", { class: "button", href: "#/deliveries?endpoint=callbacks" }, "Their deliveries"))),
    ];
  }

  async #create() {
    const made = await ask({
      title: "Add a webhook endpoint", body: endpointFields(), confirm: "Add endpoint", onOpen: wireEvents,
      run: (form) => calls.createEndpoint(readFields(form)),
    });
    if (!made) return;
    this.app.endpoints.forget();
    this.reload();
    await showSecret({
      title: "The endpoint's secret", what: "the secret", secret: made.secret,
      text: "Your receiver verifies webhooks with it. It is shown this once; the hub does not tell it again.",
    });
    if (!this.closed) location.hash = `#/endpoints/${made.id}`;
  }
}

/** What is not well with an endpoint. */
function standing({ status, disabled_reason, failing_since }) {
  if (status === "disabled") return el("span", { class: "sub" }, disabledBecause(disabled_reason));
  return failing_since ? el("span", { class: "sub bad" }, "failing since ", ago(failing_since)) : null;
}
