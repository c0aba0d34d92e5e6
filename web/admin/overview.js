// The hub at a glance: counters that move, the last day in charts, and what happens right now.

import { count, el, span } from "../dom.js";
import * as calls from "./calls.js";
import { Chart } from "./chart.js";
import { tile } from "./chains.js";
import { ago, card, failure, head, nothing, paymentLink, slot } from "./parts.js";
import * as trends from "./trends.js";
import { View } from "./view.js";
import { sentence } from "./words.js";

const FEED = 25;

export class OverviewView extends View {
  title = "Overview";
  loaded = true;
  #feed = [];
  #charts = {
    payments: new Chart("Payments per hour", { kind: "bars", format: trends.whole, least: 2 }),
    webhook: new Chart("From block to webhook", { kind: "lines", format: trends.milliseconds, least: 100 }),
    lag: new Chart("Chain lag", { kind: "lines", format: trends.seconds, least: 10 }),
    requests: new Chart("Requests to nodes", { kind: "lines", format: trends.whole, least: 10 }),
  };
  #drawn = null; // the trends that the charts show

  async load() {
    const newest = this.app.line.newest;
    if (newest === null) return;
    const page = await calls.events(Math.max(0, newest - FEED), FEED);
    this.#add(page.data);
  }

  events(events) {
    this.#add(events);
    this.draw();
  }

  hub() {
    this.draw();
  }

  #add(events) {
    const known = new Map([...this.#feed, ...events].map((event) => [event.sequence, event]));
    this.#feed = [...known.values()].sort((a, b) => b.sequence - a.sequence).slice(0, FEED);
  }

  heads() {
    return [head("Overview")];
  }

  parts() {
    const { stats, trends: day, trendsTrouble } = this.app.hub;
    return [
      stats ? tiles(stats, day) : nothing("Waiting for the hub's first answer …"),
      trendsTrouble && !day ? failure(trendsTrouble) : null,
      el("div", { class: "charts", hidden: !day }, ...Object.keys(this.#charts).map((name) => el("section", { class: "card", "data-key": name }, slot(name)))),
      card("Happening now", this.#feed.length ? this.#rows() : nothing("Nothing has happened yet. Events show here the moment they are committed.")),
    ];
  }

  mount() {
    for (const [name, chart] of Object.entries(this.#charts)) {
      const place = this.body.querySelector(`[data-own="${name}"]`);
      if (place && !place.hasChildNodes()) place.append(chart.node);
    }
    const { trends: day, stats } = this.app.hub;
    if (!day || day === this.#drawn) return;
    this.#drawn = day;
    this.#charts.payments.update(trends.paymentsPerHour(day));
    this.#charts.webhook.update(trends.blockToWebhook(day));
    this.#charts.lag.update(trends.chainLag(day));
    this.#charts.requests.update(trends.requestBudget(day, stats?.chains ?? []));
  }

  #rows() {
    return el("ol", { class: "feed", reversed: true }, ...this.#feed.map((event) =>
      el("li", { "data-key": `event ${event.sequence}`, "data-type": event.type },
        el("span", { class: "what" }, event.type),
        event.payment_id ? paymentLink(event.payment_id, event.order_id ?? undefined) : null,
        el("span", { class: "detail" }, sentence(event)),
        ago(event.timestamp))));
  }
}

function tiles(stats, day) {
  const { payments } = stats;
  const failed = stats.deliveries_failed;
  const today = day ? trends.completedToday(day) : { value: null, note: "" };
  const link = (href, text) => el("a", { href }, text);
  return el("dl", { class: "tiles" },
    tile("Waiting", link("#/payments?status=pending", count(payments.pending))),
    tile("Confirming", link("#/payments?status=confirming", count(payments.confirming))),
    tile("Completed today", link("#/payments?status=completed", today.value === null ? "–" : count(today.value)), [today.note, `${count(payments.completed)} in all`].filter(Boolean).join(" · ")),
    tile("Webhooks due", link("#/deliveries?state=due", count(stats.deliveries_due)), stats.webhooks.in_flight ? `${count(stats.webhooks.in_flight)} under way` : ""),
    tile("Webhooks failed", link("#/deliveries?state=exhausted", count(failed)), leftAlone(stats.webhooks.open_breakers), failed ? "bad" : ""),
    tile("Open sockets", count(stats.sockets), stats.streams ? `${count(stats.streams)} streams` : ""),
    tile("Uptime", span(stats.uptime_seconds)));
}

const leftAlone = (receivers) => (receivers ? `${count(receivers)} ${receivers === 1 ? "receiver" : "receivers"} left alone` : "");
