// Webhook deliveries of the whole hub by what became of them.

import { el } from "../dom.js";
import * as calls from "./calls.js";
import { DeliveryRows } from "./delivery-rows.js";
import { Listing } from "./listing.js";
import { button, head, nothing, tabs } from "./parts.js";
import { View } from "./view.js";

const STATES = { "": "All", due: "Due", exhausted: "Exhausted", delivered: "Delivered" };
const EMPTY = {
  "": "No webhook was owed yet. Give a payment a callback_url, or add an endpoint.",
  due: "Nothing is due: every webhook has been delivered or given up.",
  exhausted: "Nothing was given up. Webhooks that fail ten times, or whose receiver is gone, show here.",
  delivered: "Nothing has been delivered yet.",
};

export class DeliveriesView extends View {
  title = "Deliveries";
  #rows = new DeliveryRows(this);

  constructor(app, place) {
    super(app, place);
    this.state = place.query.get("state") in STATES ? place.query.get("state") : "";
    this.endpoint = place.query.get("endpoint") ?? "";
    this.list = new Listing((page) => calls.deliveries({ state: this.state, endpoint: this.endpoint, ...page }));
    this.acts.more = async () => {
      await this.list.more();
      this.draw();
    };
  }

  load() {
    return this.list.refresh();
  }

  /** An event means webhooks; what becomes of them, only asking tells. */
  events() {
    this.soon();
  }

  hub() {
    this.soon();
  }

  heads() {
    const href = (state) => `#/deliveries${state || this.endpoint ? `?${new URLSearchParams({ ...(state && { state }), ...(this.endpoint && { endpoint: this.endpoint }) })}` : ""}`;
    return [
      head("Deliveries", { under: this.endpoint ? ["Webhooks to ", el("code", {}, this.endpoint), ". ", el("a", { href: "#/deliveries" }, "Show all")] : "Every webhook the hub owes, sent, or gave up, the newest first." }),
      el("div", { class: "bar" }, tabs("State", Object.entries(STATES).map(([state, text]) => [state, text, href(state)]), this.state)),
    ];
  }

  parts() {
    return [
      this.list.rows.length ? el("div", { class: "card" }, this.#rows.draw(this.list.rows)) : nothing(EMPTY[this.state]),
      this.list.next ? el("p", { class: "more" }, button("Show older", "more")) : null,
    ];
  }
}
