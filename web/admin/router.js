// From the address to a view: `#/payments/0199...?status=pending`. The heading of a new view takes the focus.

import { ChainsView } from "./chains.js";
import { DeliveriesView } from "./deliveries.js";
import { EndpointView } from "./endpoint.js";
import { EndpointsView } from "./endpoints.js";
import { KeysView } from "./keys.js";
import { OverviewView } from "./overview.js";
import { PaymentView } from "./payment.js";
import { PaymentsView } from "./payments.js";
import { TransferView } from "./transfer.js";
import { TransfersView } from "./transfers.js";

const VIEWS = {
  overview: [OverviewView],
  payments: [PaymentsView, PaymentView],
  transfers: [TransfersView, TransferView],
  deliveries: [DeliveriesView],
  endpoints: [EndpointsView, EndpointView],
  keys: [KeysView],
  chains: [ChainsView],
};

/** What an address asks for: a noun, perhaps which one, and how it is filtered. */
export function place(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [noun = "", id = ""] = path.split("/").map(decoded);
  return { noun: noun || "overview", id, query: new URLSearchParams(query) };
}

/** The same list with another filter: in the address, so that going back finds it again, but without a new view. */
export function refilter(noun, fields) {
  const set = Object.entries(fields).filter(([, value]) => value);
  history.replaceState(null, "", `#/${noun}${set.length ? `?${new URLSearchParams(set)}` : ""}`);
}

export class Router {
  view = null;
  #app;
  #main;

  constructor(app, main) {
    this.#app = app;
    this.#main = main;
    this.#go(false);
    globalThis.addEventListener("hashchange", this.#changed);
  }

  close() {
    globalThis.removeEventListener("hashchange", this.#changed);
    this.view?.close();
    this.#main.replaceChildren();
  }

  #changed = () => this.#go(true);

  #go(moved) {
    const to = place(location.hash);
    const [list, one] = VIEWS[to.noun] ?? VIEWS.overview;
    this.view?.close();
    this.view = new (to.id && one ? one : list)(this.#app, to);
    this.#main.replaceChildren(this.view.body);
    this.view.open();
    this.#app.arrived(to, this.view.title);
    if (!moved) return;
    globalThis.scrollTo(0, 0);
    (this.view.body.querySelector("h1") ?? this.#main).focus({ preventScroll: true });
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
