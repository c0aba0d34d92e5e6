// web/paybell.js against scripted sockets, streams and clocks: what takes too long, or too much luck, to see in a browser.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { beforeEach, describe, test } from "node:test";
import { CHANNEL, HUB, PAYMENT, event, eventReader, fold, newWorld, pass, pending, push, retryDelay, settle, start, watchPayment, world } from "./module.mjs";

const last = (list) => list.at(-1);

/** Loses sockets that never said a word until the watch turns to the other way. */
async function untilStream() {
  for (let i = 0; i < 2; i++) {
    last(world.sockets).falls(1006);
    pass(20_000);
  }
  await settle();
  return last(world.fetches);
}

describe("the socket", () => {
  beforeEach(newWorld);

  test("the token goes in the first frame and never in the address", async () => {
    await start();
    const [socket] = world.sockets;
    socket.opens();
    assert.equal(socket.url, "wss://hub.example/ws");
    assert.deepEqual(socket.sent, [{ id: 1, connect: { token: "ct_secret" } }, { id: 2, subscribe: { channel: CHANNEL } }]);
  });

  test("a hub below a path, without a token", async () => {
    await start({ url: "http://pay.example:8080/hub", token: undefined });
    world.sockets[0].opens();
    assert.equal(world.sockets[0].url, "ws://pay.example:8080/hub/ws");
    assert.deepEqual(world.sockets[0].sent[0], { id: 1, connect: {} });
  });

  test("a ping is answered, and nothing else is", async () => {
    await start();
    const [socket] = world.sockets;
    socket.starts();
    const before = socket.sent.length;
    socket.says({ news: "from a later version" });
    assert.equal(socket.sent.length, before);
    socket.says({});
    assert.deepEqual(socket.sent.slice(before), [{}]);
  });

  test("tells the snapshot, then each event once and in order, then progress", async () => {
    const seen = await start();
    world.sockets[0].starts(5);
    for (const sequence of [6, 8, 8, 7, 9]) world.sockets[0].says(push(sequence));
    world.sockets[0].says({ push: { channel: CHANNEL, progress: { confirmations: 7, required: 20 } } });
    assert.deepEqual(seen.updates.map(({ kind }) => kind), ["snapshot", "event", "event", "event", "progress"]);
    assert.deepEqual(seen.events(), [6, 8, 9]);
    const { payment, progress } = last(seen.updates);
    assert.deepEqual([payment.confirmations, payment.confirmations_required, progress.confirmations], [7, 20, 7]);
    assert.deepEqual(seen.states, [{ state: "connecting" }, { state: "live", transport: "websocket" }]);
  });

  test("comes back after the last event it saw, and tells what it missed once", async () => {
    const seen = await start();
    world.sockets[0].starts(5);
    world.sockets[0].says(push(7));
    world.sockets[0].says({ push: { channel: CHANNEL, progress: { confirmations: 7, required: 19 } } });
    world.sockets[0].falls(4001, "shutting down");
    assert.equal(last(seen.states).state, "waiting");
    pass(20_000);
    world.sockets[1].opens();
    assert.deepEqual(world.sockets[1].sent[1], { id: 2, subscribe: { channel: CHANNEL, since: { epoch: "e1", seq: 7 } } });
    world.sockets[1].says({ id: 2, subscribe: { epoch: "e1", seq: 12, recovered: true, events: [event(7), event(8), event(9)] } });
    world.sockets[1].says(push(9));
    assert.deepEqual(seen.events(), [7, 8, 9]);
    assert.equal(seen.updates.filter(({ kind }) => kind === "snapshot").length, 1);
    world.sockets[1].falls(1006);
    pass(20_000);
    world.sockets[2].opens();
    assert.equal(world.sockets[2].sent[1].subscribe.since.seq, 12, "what was not for this payment is not asked for again");
  });

  test("a log that began anew is started from its snapshot", async () => {
    const seen = await start();
    world.sockets[0].starts(50);
    world.sockets[0].falls(1006);
    pass(20_000);
    world.sockets[1].opens();
    world.sockets[1].says({ id: 2, subscribe: { epoch: "e2", seq: 3, recovered: false, snapshot: { ...pending(), status: "confirming" } } });
    world.sockets[1].says({ push: { channel: CHANNEL, epoch: "e2", seq: 4, event: event(4) } });
    assert.deepEqual(seen.updates.map(({ kind }) => kind), ["snapshot", "snapshot", "event"]);
    assert.equal(seen.updates[1].payment.status, "confirming");
  });

  test("an event of another log, and a frame that cannot be read, start the line anew", async () => {
    const seen = await start();
    world.sockets[0].starts(5);
    world.sockets[0].says({ push: { channel: CHANNEL, epoch: "e2", seq: 6, event: event(6) } });
    pass(20_000);
    world.sockets[1].opens();
    assert.deepEqual(world.sockets[1].sent[1].subscribe, { channel: CHANNEL }, "by a snapshot");
    world.sockets[1].says({ id: 2, subscribe: { epoch: "e2", seq: 6, recovered: false, snapshot: pending() } });
    world.sockets[1].hears("{\"push\":");
    pass(20_000);
    world.sockets[2].opens();
    assert.deepEqual(world.sockets[2].sent[1].subscribe.since, { epoch: "e2", seq: 6 });
    assert.deepEqual(seen.events(), []);
  });

  test("a line that has gone silent is given up", async () => {
    const seen = await start();
    const [socket] = world.sockets;
    socket.starts();
    pass(34_000);
    socket.says({});
    pass(34_999);
    assert.equal(socket.closed, false);
    pass(1);
    assert.equal(socket.closed, true);
    assert.equal(last(seen.states).state, "waiting");
    pass(20_000);
    socket.says(push(6));
    socket.falls(1006);
    assert.equal(world.sockets.length, 2, "what the old socket still says does not count");
    assert.deepEqual(seen.events(), []);
    pass(10_000);
    assert.equal(world.sockets[1].closed, true, "one that never opens is given up sooner");
  });

  test("how often the hub speaks, it says itself", async () => {
    const seen = await start();
    world.sockets[0].opens();
    world.sockets[0].says({ id: 1, connect: { ping: 60, version: "v1" } });
    world.sockets[0].says({ id: 2, subscribe: { epoch: "e1", seq: 5, recovered: false, snapshot: pending() } });
    pass(69_999);
    assert.equal(last(seen.names()), "live");
    pass(1);
    assert.equal(last(seen.names()), "waiting");
  });

  for (const [what, end, told] of [
    ["a bad token's close code", (s) => s.falls(4500, "bad token"), { code: "unauthorized", reason: "bad token" }],
    ["another final close code", (s) => s.falls(4999), { code: "4999", reason: "the hub ended it with 4999" }],
    ["a lasting error", (s) => s.says({ id: 2, error: { code: "not_found", message: "no such payment", temporary: false } }), { code: "not_found", reason: "no such payment" }],
  ]) {
    test(`${what} ends it for good`, async () => {
      const seen = await start();
      world.sockets[0].opens();
      end(world.sockets[0]);
      world.events.dispatchEvent(new Event("online"));
      pass(600_000);
      assert.deepEqual(last(seen.states), { state: "ended", ...told });
      assert.equal(world.sockets.length, 1);
    });
  }

  test("every other close, and a passing error, are tried again", async () => {
    await start();
    for (const code of [1000, 1005, 1006, 1011, 3000, 4000, 4001, 4008, 4012, 4013, 4499]) {
      last(world.sockets).starts();
      last(world.sockets).falls(code);
      const before = world.sockets.length;
      pass(20_000);
      assert.equal(world.sockets.length, before + 1, `${code}`);
    }
    last(world.sockets).opens();
    last(world.sockets).says({ id: 2, error: { code: "unavailable", message: "later", temporary: true } });
    assert.equal(last(world.sockets).closed, true);
    const before = world.sockets.length;
    pass(20_000);
    assert.equal(world.sockets.length, before + 1);
  });
});

describe("the waits", () => {
  beforeEach(newWorld);

  test("are jittered fully between half a second and twenty", () => {
    for (const attempt of [0, 1, 5, 50, 5000]) {
      assert.equal(retryDelay(attempt, () => 0), 500);
      assert.ok(retryDelay(attempt, () => 1) <= 20_000);
    }
    assert.deepEqual([0, 1, 2, 3, 4, 5].map((n) => retryDelay(n, () => 1)), [1000, 2000, 4000, 8000, 16_000, 20_000]);
    assert.equal(retryDelay(1, () => 0.5), 1250);
  });

  /** A hub that accepts and drops at once would otherwise be asked twice a second for ever. */
  test("grow while connections do not hold, and are short again after one that did", async (t) => {
    t.mock.method(Math, "random", () => 1);
    const seen = await start();
    const fall = (heldMs) => {
      last(world.sockets).starts();
      pass(heldMs);
      last(world.sockets).falls(1006);
      pass(last(seen.states).retryInMs);
      return last(seen.states.filter(({ state }) => state === "waiting")).retryInMs;
    };
    assert.deepEqual([0, 100, 9_999, 10_000, 0].map(fall), [1000, 2000, 4000, 1000, 2000]);
  });

  test("end at once when the network is back or the page is looked at", async () => {
    const seen = await start();
    world.sockets[0].starts();
    world.sockets[0].falls(1006);
    document.hidden = true;
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(world.sockets.length, 1);
    document.hidden = false;
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(world.sockets.length, 2);
    world.events.dispatchEvent(new Event("online"));
    assert.equal(world.sockets.length, 2, "one is on its way already");
    last(world.sockets).starts();
    last(world.sockets).falls(1006);
    world.events.dispatchEvent(new Event("online"));
    assert.equal(world.sockets.length, 3);
    pass(9_999);
    assert.deepEqual([world.sockets.length, last(seen.names())], [3, "connecting"], "the wait that was cut short does not connect as well");
  });
});

describe("the page's side", () => {
  beforeEach(newWorld);

  test("callbacks that throw are reported and break nothing", async () => {
    const told = [];
    await start({
      onUpdate: ({ kind }) => { told.push(kind); throw new Error("the page's own mistake"); },
      onConnection: () => { throw new Error("another"); },
    });
    world.sockets[0].starts();
    world.sockets[0].says(push(6));
    world.sockets[0].says(push(7));
    assert.deepEqual(told, ["snapshot", "event", "event"]);
    assert.equal(world.reported.length, 5);
    assert.equal(world.sockets[0].closed, false);
  });

  for (const [what, end] of [["close()", (seen) => seen.watch.close()], ["its signal", (seen) => seen.stop.abort()]]) {
    test(`${what} leaves nothing running`, async () => {
      const stop = new AbortController();
      const seen = Object.assign(await start({ signal: stop.signal }), { stop });
      world.sockets[0].starts();
      const [updates, states] = [seen.updates.length, seen.states.length];
      end(seen);
      world.sockets[0].says(push(6));
      world.sockets[0].falls(1006);
      world.events.dispatchEvent(new Event("online"));
      pass(600_000);
      assert.deepEqual([world.sockets.length, world.sockets[0].closed], [1, true]);
      assert.deepEqual([seen.updates.length, seen.states.length], [updates, states], "nothing is called any more");
      for (const [target, name] of [[world.events, "online"], [document, "visibilitychange"], [stop.signal, "abort"]]) {
        assert.deepEqual(getEventListeners(target, name), [], name);
      }
    });
  }

  test("closing in the middle of what was missed stops there", async () => {
    const told = [];
    const seen = await start({ onUpdate: ({ event }) => { told.push(event?.sequence); if (event?.sequence === 7) seen.watch.close(); } });
    world.sockets[0].starts(5);
    world.sockets[0].falls(1006);
    pass(20_000);
    world.sockets[1].opens();
    world.sockets[1].says({ id: 2, subscribe: { epoch: "e1", seq: 9, recovered: true, events: [event(6), event(7), event(8)] } });
    assert.deepEqual(told, [undefined, 6, 7]);
  });

  test("a signal that has fired already opens nothing; what is wrong is said", async () => {
    await start({ signal: AbortSignal.abort() });
    assert.equal(world.sockets.length, 0);
    assert.throws(() => watchPayment({ id: "", onUpdate() {} }), /id must be/);
    assert.throws(() => watchPayment({ id: PAYMENT }), /onUpdate must be/);
    assert.throws(() => watchPayment({ id: PAYMENT, url: "//", onUpdate() {} }), TypeError);
  });
});

describe("the stream", () => {
  beforeEach(newWorld);

  test("takes over when sockets fail without a word, twice in a row", async () => {
    const seen = await start();
    world.sockets[0].falls(1006);
    pass(20_000);
    world.sockets[1].starts();
    world.sockets[1].falls(1006);
    pass(20_000);
    world.sockets[2].falls(1006);
    pass(20_000);
    world.sockets[3].falls(4001);
    pass(20_000);
    assert.deepEqual([world.sockets.length, world.fetches.length], [5, 0], "one that spoke between them counts, if only to say goodbye");
    const request = await untilStream();
    assert.equal(request.url, `${HUB}/v1/payments/${PAYMENT}/events/stream`);
    assert.deepEqual(request.headers, { accept: "text/event-stream", authorization: "Bearer ct_secret", "last-event-id": "e1:5" });
    request.streams();
    await request.says(`retry: 2000\n\nid: e1:6\nevent: payment.detected\ndata: ${JSON.stringify(event(6))}\n\n: ping\n\n`);
    await request.says(`event: progress\ndata: {"confirmations":3,"required":19}\n\n`);
    await settle();
    assert.deepEqual(seen.events(), [6]);
    assert.equal(last(seen.updates).payment.confirmations, 3);
    assert.deepEqual(last(seen.states), { state: "live", transport: "sse" });
  });

  test("starts from a snapshot, resumes by id, and tries sockets again ever less often", async () => {
    const seen = await start();
    let request = await untilStream();
    request.streams();
    await request.says(`id: e:1:5\nevent: snapshot\ndata: ${JSON.stringify({ epoch: "e:1", seq: 5, payment: pending() })}\n\n`);
    await request.says(`id: e:1:7\nevent: payment.detected\ndata: ${JSON.stringify(event(7))}\n\n`);
    await settle();
    assert.deepEqual(seen.updates.map(({ kind }) => kind), ["snapshot", "event"]);
    for (const [again, sockets] of [[15_000, 3], [30_000, 4]]) {
      await keepAlive(request, again - 1);
      assert.equal(world.sockets.length, sockets - 1);
      pass(1);
      assert.deepEqual([request.aborted, world.sockets.length], [true, sockets]);
      world.sockets.at(-1).falls(1006);
      pass(20_000);
      await settle();
      request = last(world.fetches);
      assert.equal(request.headers["last-event-id"], "e:1:7");
      request.streams();
      await settle();
    }
    await keepAlive(request, 60_000);
    last(world.sockets).opens();
    assert.deepEqual(last(world.sockets).sent[1].subscribe.since, { epoch: "e:1", seq: 7 });
    last(world.sockets).says({ id: 2, subscribe: { epoch: "e:1", seq: 7, recovered: true, events: [] } });
    assert.deepEqual(last(seen.states), { state: "live", transport: "websocket" });
    last(world.sockets).falls(1006);
    pass(20_000);
    (await untilStream()).streams();
    await settle();
    const before = world.sockets.length;
    pass(15_000);
    assert.equal(world.sockets.length, before + 1, "soon again, since one got through");
  });

  /** Comments of the hub while time passes. */
  async function keepAlive(request, ms) {
    for (let passed = 0; passed < ms; passed += 15_000) {
      await request.says(": ping\n\n");
      await settle();
      pass(Math.min(15_000, ms - passed));
    }
  }

  for (const [what, fail] of [
    ["that cannot be reached", (r) => r.fails()],
    ["that is full", (r) => r.answers(503, "application/problem+json", "{}")],
    ["that is another program", (r) => r.answers(200, "text/html", "<p>Please log in</p>")],
    ["behind something that forbids it", (r) => r.answers(403, "application/json", "{\"detail\":\"company policy\"}")],
    ["that never answers", () => pass(10_000)],
    ["that ends the stream", (r) => { r.streams(); r.ends(); }],
    ["that calls the reader slow", (r) => { r.streams(); r.says("event: error\ndata: {\"code\":\"slow\"}\n\n"); }],
    ["that says what cannot be read", (r) => { r.streams(); r.says("event: progress\ndata: {\n\n"); }],
    ["that never ends its line", (r) => { r.streams(); r.says(`data: ${"x".repeat(1 << 20)}`); }],
  ]) {
    test(`a hub ${what} is asked again, by a socket first`, async () => {
      const seen = await start();
      const request = await untilStream();
      await fail(request);
      await settle();
      await settle();
      assert.equal(last(seen.names()), "waiting");
      assert.equal(seen.names().includes("live"), Boolean(request.says));
      assert.equal(request.aborted, true, "nothing of it is left open");
      const before = world.sockets.length;
      pass(20_000);
      assert.equal(world.sockets.length, before + 1);
      last(world.sockets).falls(1006);
      pass(20_000);
      assert.equal(world.fetches.length, 2, "and if that is in vain, by a stream");
    });
  }

  for (const [status, code] of [[401, "unauthorized"], [403, "forbidden"], [404, "not_found"], [410, "gone"]]) {
    test(`the hub's own ${status} ends it for good`, async () => {
      const seen = await start();
      const request = await untilStream();
      request.answers(status, "application/problem+json", JSON.stringify({ detail: "in words" }));
      await settle();
      pass(600_000);
      assert.deepEqual(last(seen.states), { state: "ended", code, reason: "in words" });
      assert.deepEqual([world.sockets.length, world.fetches.length], [2, 1]);
    });
  }
});

describe("the reader of server-sent events", () => {
  const read = (chunks) => {
    const frames = [];
    const feed = eventReader((frame) => frames.push(frame));
    chunks.forEach((chunk) => feed(chunk));
    return frames;
  };
  const TEXT = [
    ": a comment", "retry: 2000", "", "id: e1:5", "event: snapshot", "data: {\"a\":", "data:1}", "", "data", "", "event: alone", "", "data:  two spaces",
    "unknown: field", "", "id: bad\0id", "event:late", "data: x:y", "", "data: never dispatched",
  ];
  const FRAMES = [
    { event: "snapshot", data: "{\"a\":\n1}", id: "e1:5" },
    { event: "message", data: "", id: "e1:5" },
    { event: "message", data: " two spaces", id: "e1:5" },
    { event: "late", data: "x:y", id: "e1:5" },
  ];

  for (const [name, newline] of [["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]]) {
    test(`reads the same however the text is split: ${name}`, () => {
      const text = TEXT.join(newline);
      assert.deepEqual(read([text]), FRAMES);
      assert.deepEqual(read([...text]), FRAMES, "one character at a time");
      for (let at = 0; at <= text.length; at++) assert.deepEqual(read([text.slice(0, at), "", text.slice(at)]), FRAMES, `split at ${at}`);
    });
  }

  test("has a limit, over lines and within one", () => {
    const megabyte = "x".repeat(1 << 20);
    assert.throws(() => read([`data: ${megabyte}`]), RangeError);
    assert.throws(() => read([`data: ${megabyte.slice(10)}\n`, "data: twelve chars\n"]), RangeError);
    assert.equal(read(Array(3).fill(`data: ${megabyte.slice(10)}\n\n`)).length, 3);
  });
});

describe("what an event makes of a payment", () => {
  const transfer = (n, more = {}) => ({
    id: `trf_${n}`, transaction_hash: `hash${n}`, log_index: 0, from: "Tfrom", to: "Tto", amount: "5.0", block_number: 100 + n,
    block_timestamp: 1, state: "seen", reason: null, assigned: null, ...more,
  });
  const detected = (n, more) => event(n, { transaction_hash: `hash${n}`, transfer: transfer(n), ...more });
  const shown = ({ transfers }) => transfers.map((t) => `${t.transaction_hash} ${t.state} ${t.settled_by}`);

  test("seen, then completed", () => {
    const seen = fold(pending(), detected(1));
    assert.deepEqual([seen.status, seen.received_amount, seen.received_amount_usdt, seen.transaction_hash, seen.confirmations],
      ["confirming", "5.0", 5, "hash1", 1]);
    assert.deepEqual(Object.keys(seen.transfers[0]).sort(),
      ["amount", "block_number", "block_timestamp", "from", "log_index", "settled_by", "state", "transaction_hash"]);
    const done = fold(seen, event(2, { type: "payment.completed", status: "completed", transaction_hash: "hash1", confirmations: 19 }));
    assert.deepEqual([done.status, done.completed_at, done.confirmations], ["completed", Date.UTC(2026, 10, 23, 10) / 1000 + 0.25, 19]);
    assert.deepEqual(shown(done), ["hash1 confirmed match"]);
    assert.deepEqual([seen.completed_at, shown(seen)], [null, ["hash1 seen match"]], "the state before is left as it was");
  });

  test("taken back by a fork, and found again elsewhere", () => {
    const paid = fold(fold(pending(), detected(1)), detected(2));
    assert.deepEqual([paid.transaction_hash, shown(paid)], ["hash2", ["hash1 seen match", "hash2 seen match"]]);
    const back = (n, more) => event(9, { type: "payment.reverted", status: "pending", transaction_hash: `hash${n}`, transfer: transfer(n, { state: "reverted" }), ...more });
    const one = fold(paid, back(2, { received_amount: "5.0" }));
    assert.deepEqual([one.transaction_hash, shown(one)], ["hash1", ["hash1 seen match", "hash2 reverted match"]]);
    const none = fold(one, back(1, { received_amount: "0.0", received_amount_usdt: null, confirmations: 3 }));
    assert.deepEqual([none.transaction_hash, none.received_amount_usdt, none.confirmations], [null, null, 0]);
    const again = fold(none, detected(2, { transfer: transfer(2, { block_number: 300 }) }));
    assert.deepEqual([again.transaction_hash, shown(again)], ["hash2", ["hash1 reverted match", "hash2 seen match"]]);
    assert.equal(again.transfers[1].block_number, 300);
  });

  test("of two in one block, the later one tells the transaction", () => {
    const inBlock = (n, index) => detected(n, { transfer: transfer(n, { block_number: 7, log_index: index }) });
    assert.equal(fold(fold(pending(), inBlock(1, 9)), inBlock(2, 3)).transaction_hash, "hash1");
    assert.equal(fold(fold(pending(), inBlock(2, 3)), inBlock(1, 9)).transaction_hash, "hash1");
  });

  test("a completion that is taken back is none", () => {
    const done = fold(fold(pending(), detected(1)), event(2, { type: "payment.completed", status: "completed" }));
    const back = fold(done, event(3, { type: "payment.reverted", status: "pending", transfer: transfer(1, { state: "reverted" }) }));
    assert.deepEqual([back.status, back.completed_at], ["pending", null]);
  });

  test("what settles nothing is no transfer of the payment's; what was decided by hand says so", () => {
    const wrong = fold(pending(), event(1, { type: "payment.mismatched", status: "pending", transaction_hash: "hash1", transfer: transfer(1, { state: "unmatched", reason: "wrong_amount" }) }));
    assert.deepEqual([wrong.transfers, wrong.transaction_hash], [[], null]);
    const taken = fold(wrong, detected(1, { transfer: transfer(1, { assigned: { payment_id: PAYMENT } }) }));
    assert.deepEqual(shown(taken), ["hash1 seen hand"]);
  });
});
