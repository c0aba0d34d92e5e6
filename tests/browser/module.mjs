// web/paybell.js outside of a browser: its parts by name, and what a browser would give it, scripted.

import { readFileSync } from "node:fs";
import { mock } from "node:test";

export const PAYMENT = "01937b5c-7c2e-7000-8000-000000000001";
export const CHANNEL = `payment:${PAYMENT}`;
export const HUB = "https://hub.example";

// The module exports one function; the others are looked at from here only.
const source = readFileSync(new URL("../../web/paybell.js", import.meta.url), "utf8");
const exposed = `${source}\nexport { retryDelay, eventReader, fold };`;
export const { watchPayment, retryDelay, eventReader, fold } = await import(`data:text/javascript,${encodeURIComponent(exposed)}`);

/** A WebSocket whose other end is the test. */
class ScriptedSocket {
  constructor(url) {
    Object.assign(this, { url: String(url), sent: [], closed: false });
    world.sockets.push(this);
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.closed = true; }
  opens() { this.onopen(); }
  says(frame) { this.hears(JSON.stringify(frame)); }
  hears(text) { this.onmessage({ data: text }); }
  falls(code, reason = "") { this.onclose({ code, reason }); }
  starts(seq = 5) {
    this.opens();
    this.says({ id: 1, connect: { ping: 25, version: "v1" } });
    this.says({ id: 2, subscribe: { epoch: "e1", seq, recovered: false, snapshot: pending() } });
  }
}

/** What the module finds around it; made anew by `newWorld`. */
export let world;

export function newWorld() {
  world = { sockets: [], fetches: [], reported: [], nowMs: 0, events: new EventTarget() };
  globalThis.WebSocket = ScriptedSocket;
  globalThis.fetch = scriptedFetch;
  globalThis.reportError = (error) => world.reported.push(error);
  globalThis.addEventListener = (...told) => world.events.addEventListener(...told);
  globalThis.removeEventListener = (...told) => world.events.removeEventListener(...told);
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.restoreAll();
  mock.method(performance, "now", () => world.nowMs);
}

/** Time passes: timers fire on the way. */
export function pass(ms) {
  world.nowMs += ms;
  mock.timers.tick(ms);
}

/** Lets promises that are settled be heard of. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

function scriptedFetch(url, { headers, signal }) {
  return new Promise((resolve, reject) => {
    const request = { url: String(url), headers, aborted: false, fails: () => reject(new TypeError("fetch failed")) };
    request.answers = (status, type, body = "") => resolve(new Response(body, { status, headers: { "content-type": type } }));
    request.streams = () => {
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      request.says = (text) => writer.write(new TextEncoder().encode(text));
      request.ends = () => writer.close();
      request.answers(200, "text/event-stream", readable);
    };
    signal.addEventListener("abort", () => { request.aborted = true; reject(signal.reason); });
    world.fetches.push(request);
  });
}

/** Watches, and keeps what it is told. */
export async function start(more = {}) {
  const seen = { updates: [], states: [] };
  seen.watch = watchPayment({
    id: PAYMENT, token: "ct_secret", url: HUB,
    onUpdate: (update) => seen.updates.push(update),
    onConnection: (connection) => seen.states.push(connection),
    ...more,
  });
  seen.events = () => seen.updates.filter(({ kind }) => kind === "event").map(({ event }) => event.sequence);
  seen.names = () => seen.states.map(({ state }) => state);
  await settle();
  return seen;
}

export const pending = () => ({
  payment_id: PAYMENT, status: "pending", received_amount: "0.0", received_amount_usdt: null, transaction_hash: null,
  completed_at: null, confirmations: 0, confirmations_required: 19, transfers: [],
});

export const event = (sequence, more = {}) => ({
  sequence, type: "payment.detected", timestamp: "2026-11-23T10:00:00.250Z", payment_id: PAYMENT, status: "confirming",
  received_amount: "5.0", received_amount_usdt: 5, transaction_hash: null, confirmations: 1, transfer: null, ...more,
});

export const push = (sequence, more) => ({ push: { channel: CHANNEL, epoch: "e1", seq: sequence, event: event(sequence, more) } });
