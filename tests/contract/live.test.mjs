// A running hub against its own /asyncapi.json: the document is a valid one, and every frame of a socket and every record of
// a stream, from a payment's creation to its completion, is one of its messages. Long polls wait as they say.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { startDemo, startReceiver, until } from "../clients/demo.mjs";
import { client } from "./seeds.mjs";
import { mistakes } from "./validate.mjs";

const OFFICIAL = createRequire(import.meta.url).resolve("@asyncapi/specs/schemas/3.0.0-without-$id.json");
let demo;
let receiver;
let document;
let call;

before(async () => {
  [demo, receiver] = await Promise.all([startDemo(), startReceiver()]);
  document = await (await fetch(`${demo.hub}/asyncapi.json`)).json();
  call = client(demo.hub);
}, { timeout: 60_000 });

after(async () => {
  await receiver?.stop();
  await demo?.stop();
});

/** The message that a frame must be. */
function messageOf(frame) {
  if (frame.push) return frame.push.event ? "event" : "progress";
  if (frame.connect) return "connected";
  if (frame.subscribe) return "subscribed";
  if (frame.unsubscribe) return "unsubscribed";
  if (frame.error) return "refused";
  return "ping";
}

const RECORDS = { hello: "streamHello", reset: "streamReset", snapshot: "streamSnapshot", progress: "streamProgress", error: "streamError" };
const payload = (message, instance) => ({ document, pointer: `/components/messages/${message}/payload`, instance });

async function openSocket() {
  const socket = new WebSocket(`${demo.hub.replace("http", "ws")}/ws`);
  const frames = [];
  socket.on("message", (text) => {
    const frame = JSON.parse(text);
    frames.push(frame);
    if (messageOf(frame) === "ping") socket.send("{}");
  });
  await once(socket, "open");
  return { frames, send: (command) => socket.send(JSON.stringify(command)), close: () => socket.terminate(), socket };
}

/** Reads a stream's records as they come. */
function openStream(path, headers = {}) {
  const records = [];
  const abort = new AbortController();
  const done = (async () => {
    const response = await fetch(demo.hub + path, { headers, signal: abort.signal });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const parts = text.split("\n\n");
      text = parts.pop();
      records.push(...parts.map(recordOf).filter(({ event }) => event));
    }
  })().catch((error) => { if (!abort.signal.aborted) throw error; });
  return { records, close: () => { abort.abort(); return done; } };
}

const recordOf = (text) => Object.fromEntries(text.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));

let created = 0;
async function createPayment() {
  created += 1;
  return call("POST", "/v1/payments", { wallet: "demo", expected_amount_usdt: `5.0${created}`, order_id: `LIVE_${created}`, callback_url: receiver.url });
}

const pay = ({ wallet_address: to, amount_to_pay: amount }) => client(demo.sandbox)("POST", "/sandbox/transfer", { to, amount });
const isCompleted = ({ payment_id }) => async () => (await call("GET", `/v1/payments/${payment_id}`)).status === "completed";

describe("the AsyncAPI document", { timeout: 200_000 }, () => {
  test("is valid", async () => {
    const official = JSON.parse(readFileSync(OFFICIAL, "utf8"));
    assert.deepEqual(await mistakes([{ document: official, instance: document }]), []);
    const broken = { ...document, channels: 5 };
    assert.notDeepEqual(await mistakes([{ document: official, instance: broken }]), [], "the validator really looks");
  });

  test("has every frame of a socket", async () => {
    const payment = await createPayment();
    const [own, all] = [await openSocket(), await openSocket()];
    const channel = `payment:${payment.payment_id}`;
    own.send({ id: 1, connect: { token: payment.client_token } });
    own.send({ id: 2, subscribe: { channel } });
    own.send({ id: 3, subscribe: { channel: "payments" } });
    all.send({ id: "a", connect: {} });
    all.send({ id: "b", subscribe: { channel: "payments" } });
    await until("both listen", () => own.frames.length >= 3 && all.frames.length >= 2);
    await pay(payment);
    await until("the completion is pushed to both", () => [own, all].every(({ frames }) =>
      frames.some(({ push }) => push?.event?.type === "payment.completed")));
    const { epoch } = own.frames.find(({ subscribe }) => subscribe).subscribe;
    own.send({ id: 4, unsubscribe: { channel } });
    own.send({ id: 5, subscribe: { channel, since: { epoch, seq: 1 } } });
    await until("it is told again", () => own.frames.some(({ id }) => id === 5));
    const frames = [...own.frames, ...all.frames];
    const seen = new Set(frames.map(messageOf));
    for (const message of ["connected", "subscribed", "unsubscribed", "refused", "event", "progress"]) assert.ok(seen.has(message), `${message} was said`);
    assert.ok(own.frames.some(({ subscribe }) => subscribe?.recovered === true) && own.frames.some(({ subscribe }) => subscribe?.snapshot));
    assert.deepEqual(await mistakes(frames.map((frame) => payload(messageOf(frame), frame))), []);
    assert.notDeepEqual(await mistakes([payload("connected", { id: 1, connect: { ping: 25, version: "v1", more: 1 } })]), [], "more than is described is noticed");
    own.close();
    all.send("no object");
    const [code] = await once(all.socket, "close");
    assert.ok(document.channels.socket["x-close-codes"].some((close) => close.code === code && !close.comeBack), `${code} is a close code`);
  });

  test("has every record of the streams", async () => {
    const payment = await createPayment();
    const path = `/v1/payments/${payment.payment_id}/events/stream`;
    const own = openStream(path, { authorization: `Bearer ${payment.client_token}` });
    const [all, lost] = [openStream("/v1/events/stream"), openStream("/v1/events/stream", { "last-event-id": "other:1" })];
    await until("all have begun", () => [own, all, lost].every(({ records }) => records.length > 0));
    await pay(payment);
    await until("the payment is completed", isCompleted(payment));
    await until("all have heard", () => [own, all, lost].every(({ records }) => records.some(({ event }) => event === "payment.completed")));
    const again = openStream(`${path}?last_event_id=${own.records[0].id}`);
    await until("what was missed comes again", () => again.records.some(({ event }) => event === "payment.completed"));
    await Promise.all([own, all, lost, again].map((stream) => stream.close()));
    assert.deepEqual([own, all, lost].map(({ records }) => records[0].event), ["snapshot", "hello", "reset"]);
    assert.ok(own.records.some(({ event }) => event === "progress"));
    const records = [own, all, lost, again].flatMap((stream) => stream.records);
    const cases = records.map(({ event, data }) => payload(RECORDS[event] ?? "streamEvent", JSON.parse(data)));
    assert.deepEqual(await mistakes(cases), []);
  });

  test("long polls wait for the first event, and end when their time is over", async () => {
    const { data, epoch } = await call("GET", "/v1/events?limit=100");
    const last = data.at(-1).sequence;
    const waiting = call("GET", `/v1/events?after=${last}&wait=25&epoch=${epoch}`);
    const payment = await createPayment();
    const [event] = (await waiting).data;
    assert.equal(event.payment_id, payment.payment_id);
    const start = Date.now();
    const empty = await call("GET", `/v1/events?after=${event.sequence + 100}&wait=1`);
    assert.deepEqual(empty.data, []);
    assert.ok(Date.now() - start >= 1_000, "it waited");
  });
});
