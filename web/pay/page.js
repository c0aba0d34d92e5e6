// The checkout's wiring: the payment in the address, its live watch, its past events, the chain's clock.
// The token stays behind the #: it goes into headers and frames, never into an address.

import { watchPayment } from "../../paybell.js";
import { $ } from "../dom.js";
import { ChainClock } from "./clock.js";
import { payerOf } from "./hub.js";
import { TROUBLES } from "./looks.js";
import { tell } from "./story.js";
import { View } from "./view.js";
import { Words, chooseLanguage } from "./words.js";

const PAYMENT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TICK_MS = 250;
// The chain's time is asked for again: a hub that had nothing to do is up to a minute behind when a payment is made,
// and a device that sleeps may stop its clock.
const TIME_FIRST_MS = 5_000;
const TIME_EVERY_MS = 30_000;
const HISTORY_AGAIN_MS = 5_000;

const preferred = navigator.languages ?? [navigator.language];
const words = new Words(chooseLanguage(location.search, preferred), preferred);
const view = new View(words);
let current = null;

addEventListener("hashchange", open);
document.addEventListener("visibilitychange", () => document.hidden || askForTime());
setInterval(tick, TICK_MS);
setTimeout(askForTime, TIME_FIRST_MS);
setInterval(askForTime, TIME_EVERY_MS);
open();

function open() {
  current?.watch.close();
  clearTimeout(current?.again);
  current = null;
  view.clear();
  const id = location.pathname.split("/").at(-1);
  const token = location.hash.slice(1);
  if (!PAYMENT_ID.test(id)) return trouble("not_found");
  const clock = new ChainClock();
  const mine = (current = { hub: payerOf(id, token, (time) => clock.hear(time)), token, clock, payment: null, events: new Map(), start: 0, ready: false, told: null });
  mine.watch = watchPayment({
    id,
    token,
    onUpdate: (update) => mine === current && receive(mine, update),
    onConnection: (connection) => mine === current && connected(mine, connection),
  });
}

function receive(mine, { kind, payment, event }) {
  if (!mine.payment) loadQr(mine, payment);
  mine.payment = payment;
  if (kind === "snapshot") {
    mine.clock.hear(payment.chain_time);
    Object.assign(mine, { events: new Map(), start: mine.start + 1, ready: false });
    loadHistory(mine, mine.start);
  }
  if (kind === "event") {
    if (event.transfer) mine.clock.hear(event.transfer.block_timestamp / 1000);
    mine.events.set(event.sequence, event);
    if (event.type === "payment.completed") view.ring();
  }
  draw(mine);
}

/**
 * What happened before the snapshot. Until it is known whole, what is on the screen stays, and nobody is shown anything to pay:
 * it may have been paid, or a wrong amount sent.
 */
async function loadHistory(mine, start) {
  const isStale = () => mine !== current || start !== mine.start;
  try {
    for await (const page of mine.hub.events()) {
      if (isStale()) return;
      for (const event of page) mine.events.set(event.sequence, event);
    }
  } catch {
    if (isStale()) return;
    mine.again = setTimeout(() => isStale() || loadHistory(mine, start), HISTORY_AGAIN_MS);
    if (mine.told?.due !== null) trouble("unreachable");
    return;
  }
  if (isStale()) return;
  mine.ready = true;
  draw(mine);
}

async function loadQr(mine, { wallet_address: address }) {
  const image = await mine.hub.qr().catch(() => null);
  if (mine === current) view.qr(image, address);
}

function draw(mine) {
  if (!mine.ready) return;
  const { payment, clock } = mine;
  const left = clock.until(payment.expires_at);
  const events = [...mine.events.values()].sort((a, b) => a.sequence - b.sequence);
  mine.told = tell(payment, events, left);
  view.draw(payment, mine.told);
  view.tick(payment, mine.told, left, clock.now());
}

function tick() {
  if (!current?.told) return;
  const { payment, clock, told } = current;
  const left = clock.until(payment.expires_at);
  if (left === 0 && told.due !== null) draw(current);
  else view.tick(payment, told, left, clock.now());
}

async function askForTime() {
  const mine = current;
  if (!mine?.told?.due || document.hidden) return;
  const payment = await mine.hub.payment().catch(() => null);
  if (payment && mine === current) mine.clock.hear(payment.chain_time);
}

function connected(mine, connection) {
  view.live(connection);
  const { state, code, reason } = connection;
  if (state === "ended") end(mine, code, reason);
  if (state === "waiting" && !mine.payment) trouble("unreachable");
}

/** A payment that is over may stay on the screen; of one that is not, nobody would hear any more. */
function end(mine, code, reason) {
  if (mine.payment && mine.told?.due === null && mine.told.state !== "confirming") return;
  if (code === "unauthorized" && !mine.token) return trouble("no_link");
  trouble(code in TROUBLES ? code : "other", reason);
}

function trouble(why, reason = "") {
  const [title, text] = TROUBLES[why];
  view.trouble(words.say(title), words.say(text, { reason }));
}
