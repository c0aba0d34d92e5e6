// The hub as a whole: health, statistics, and the last webhooks, asked for again every few seconds while someone looks.

import * as api from "./api.js";
import { $, count, el, jsonRow, setText, short, span, time } from "./dom.js";

const REFRESH_MS = 3_000;
const REFRESH_TROUBLED_MS = 10_000;

/** `on.demo()` is called once, when the hub says that it is the demo; `on.locked()` when it asks for a key. */
export class Overview {
  #on;
  #demo = false;
  #timer = 0;
  #busy = false;
  #again = false;

  constructor(on) {
    this.#on = on;
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    this.refresh();
  }

  async refresh() {
    this.#again = this.#busy;
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    const fine = await this.#load();
    this.#busy = false;
    if (this.#again) return this.refresh();
    if (!document.hidden) this.#timer = setTimeout(() => this.refresh(), fine ? REFRESH_MS : REFRESH_TROUBLED_MS);
  }

  async #load() {
    try {
      const [health, stats] = await Promise.all([api.health(), api.stats()]);
      drawHealth(health.status);
      drawNumbers(stats);
      if (stats.demo === true && !this.#demo) {
        this.#demo = true;
        this.#on.demo();
      }
      drawDeliveries((await api.deliveries()).data);
      if (this.#demo) drawReceived((await api.sandboxWebhooks()).data);
      return true;
    } catch (error) {
      if (error.status === 401) this.#on.locked();
      drawHealth(error.status === 401 ? "locked" : error.status ? "troubled" : "unreachable", error.message);
      return false;
    }
  }
}

function drawHealth(status, why = "") {
  $("health").dataset.state = status;
  $("health").title = why;
  setText($("health-text"), status);
}

function drawNumbers(stats) {
  const tiles = [
    tile("Waiting", count(stats.pending_payments)),
    tile("Completed", count(stats.completed_payments)),
    tile("All payments", count(stats.total_payments)),
    tile("Open sockets", count(stats.sockets)),
    tile("Uptime", Number.isFinite(stats.uptime_seconds) ? span(stats.uptime_seconds) : "–"),
    tile("Webhooks due", count(stats.deliveries_due), stats.deliveries_failed ? `${count(stats.deliveries_failed)} failed` : "", "bad"),
    ...(stats.chains ?? []).map(chainTile),
  ];
  const list = $("numbers");
  if (list.children.length !== tiles.length) return list.replaceChildren(...tiles);
  tiles.forEach((fresh, i) => list.children[i].isEqualNode(fresh) || list.children[i].replaceWith(fresh));
}

function chainTile({ name, head, final, lag_seconds: lag, last_error: error }) {
  const behind = Number.isFinite(head) && Number.isFinite(final) ? `final ${count(head - final)} behind` : "";
  const late = Number.isFinite(lag) ? `${span(lag)} old` : "";
  const node = tile(`${name} head`, count(head), error || [behind, late].filter(Boolean).join(" · "), error ? "bad" : "");
  node.className = "chain";
  return node;
}

function tile(name, value, note = "", tone = "") {
  const more = note && el("span", { class: `note ${tone}` }, note);
  return el("div", {}, el("dt", {}, name), el("dd", {}, value, more || null));
}

function drawDeliveries(rows) {
  $("no-deliveries").hidden = rows.length > 0;
  keepRows($("deliveries"), rows.map(deliveryRow));
}

function deliveryRow(row) {
  const waits = row.state === "due" && row.attempts > 0 && row.next_attempt_at;
  const outcome = [
    row.last_status ? `HTTP ${row.last_status}` : row.last_error,
    Number.isFinite(row.latency_ms) ? `${row.latency_ms} ms` : "",
    row.attempts === 0 ? "not tried yet" : row.attempts > 1 ? `${row.attempts} tries` : "",
    hostOf(row.url),
  ].filter(Boolean).join(" · ");
  const summary = [
    el("span", { class: "what" }, row.type),
    el("span", { class: `badge ${row.state}` }, row.state),
    el("span", { class: "detail" }, outcome, waits ? " · next " : null, waits ? time(row.next_attempt_at) : null),
  ];
  return jsonRow({ "data-id": `${row.id} ${row.state} ${row.attempts}`, "data-payment": row.payment_id, "data-state": row.state }, summary, time(row.created_at), row);
}

function drawReceived(rows) {
  const part = $("received-part");
  part.hidden = false;
  $("no-received").hidden = rows.length > 0;
  keepRows($("received"), rows.slice(0, 10).map(receivedRow));
}

function receivedRow(row) {
  const text = typeof row.body === "string" ? row.body : JSON.stringify(row.body);
  const body = parse(text);
  const summary = [
    el("span", { class: "what" }, body.type ?? "a request"),
    el("span", { class: "detail" }, short(row.webhook_id ?? "", 12, 6)),
  ];
  const raw = `webhook-id: ${row.webhook_id}\nwebhook-timestamp: ${row.webhook_timestamp}\nwebhook-signature: ${row.webhook_signature}\n\n${text}`;
  return jsonRow({ "data-id": `${row.webhook_id} ${row.webhook_timestamp}`, "data-payment": body.payment_id }, summary, time(row.received_at), raw);
}

/** Where a webhook went, unless it went to this same hub. */
function hostOf(url) {
  const host = URL.canParse(url) ? new URL(url).host : "";
  return host === location.host ? "" : host;
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** Brings a list up to date without touching the rows that did not change: they keep their focus and stay open. */
function keepRows(list, fresh) {
  const old = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const rows = fresh.map((row) => old.get(row.dataset.id) ?? row);
  for (const row of old.values()) if (!rows.includes(row)) row.remove();
  rows.forEach((row, i) => row === list.children[i] || list.insertBefore(row, list.children[i] ?? null));
}
