// The page's live channel against a scripted socket and a scripted clock: what takes too long, or too much luck, to see in a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, describe, mock, test } from "node:test";

const source = readFileSync(new URL("../../web/live.js", import.meta.url), "utf8");
const { Live, retryDelay } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const PAYMENT = "01937b5c-7c2e-7000-8000-000000000001";
const CHANNEL = `payment:${PAYMENT}`;
let sockets;

class ScriptedSocket {
  static OPEN = 1;
  constructor(url) {
    Object.assign(this, { url, readyState: 0, sent: [], closed: false });
    sockets.push(this);
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.closed = true; }
  opens() { this.readyState = 1; this.onopen(); }
  says(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
  falls(code, reason = "") { this.readyState = 3; this.onclose({ code, reason }); }
  subscribes(seq = 5) {
    this.opens();
    this.says({ id: 1, connect: { ping: 25, version: "v1" } });
    this.says({ id: 2, subscribe: { epoch: "e1", seq, recovered: false, snapshot: { payment_id: PAYMENT } } });
  }
}

function start(token = "ct_secret") {
  const seen = { states: [], events: [], progress: [], snapshots: 0 };
  seen.live = new Live(PAYMENT, token, {
    state: (name, detail) => seen.states.push([name, detail]),
    snapshot: () => { seen.snapshots += 1; },
    event: (event) => seen.events.push(event),
    progress: (progress) => seen.progress.push(progress),
  });
  return seen;
}

const push = (seq) => ({ push: { channel: CHANNEL, epoch: "e1", seq, event: { sequence: seq, type: "payment.detected" } } });

describe("the live channel", () => {
  beforeEach(() => {
    sockets = [];
    globalThis.WebSocket = ScriptedSocket;
    globalThis.location = { origin: "https://hub.example" };
    globalThis.addEventListener = globalThis.removeEventListener = () => {};
    mock.timers.reset();
    mock.timers.enable({ apis: ["setTimeout"] });
  });

  test("sends the token in its first frame and never in the address", () => {
    start();
    sockets[0].opens();
    assert.equal(sockets[0].url, "wss://hub.example/ws");
    assert.deepEqual(sockets[0].sent, [{ id: 1, connect: { token: "ct_secret" } }, { id: 2, subscribe: { channel: CHANNEL } }]);
  });

  test("answers a ping with a pong", () => {
    start();
    sockets[0].subscribes();
    sockets[0].says({});
    assert.deepEqual(sockets[0].sent.at(-1), {});
  });

  test("waits with full jitter between half a second and twenty", () => {
    for (const attempt of [0, 1, 5, 50, 5000]) {
      assert.equal(retryDelay(attempt, () => 0), 500);
      assert.ok(retryDelay(attempt, () => 1) <= 20_000);
    }
    assert.equal(retryDelay(0, () => 1), 1000);
    assert.equal(retryDelay(50, () => 1), 20_000);
  });

  test("comes back from the last event it saw, and shows what it missed", () => {
    const seen = start();
    sockets[0].subscribes(5);
    sockets[0].says(push(7));
    sockets[0].falls(4001);
    assert.equal(seen.states.at(-1)[0], "waiting");
    mock.timers.tick(20_000);
    sockets[1].opens();
    assert.deepEqual(sockets[1].sent[1], { id: 2, subscribe: { channel: CHANNEL, since: { epoch: "e1", seq: 7 } } });
    sockets[1].says({ id: 2, subscribe: { epoch: "e1", seq: 9, recovered: true, events: [{ sequence: 8 }, { sequence: 9 }] } });
    assert.deepEqual(seen.events.map(({ sequence }) => sequence), [7, 8, 9]);
    assert.equal(seen.snapshots, 1);
  });

  test("progress moves nothing that a resume depends on", () => {
    const seen = start();
    sockets[0].subscribes(5);
    sockets[0].says({ push: { channel: CHANNEL, progress: { confirmations: 7, required: 19 } } });
    sockets[0].says({ push: { channel: "payment:another", progress: { confirmations: 1, required: 19 } } });
    sockets[0].falls(1006);
    mock.timers.tick(20_000);
    sockets[1].opens();
    assert.deepEqual(sockets[1].sent[1].subscribe.since, { epoch: "e1", seq: 5 });
    assert.deepEqual(seen.progress, [{ confirmations: 7, required: 19 }]);
  });

  test("gives up a line that has gone silent, and opens another", () => {
    const seen = start();
    sockets[0].subscribes();
    mock.timers.tick(34_000);
    assert.equal(sockets[0].closed, false);
    sockets[0].says({});
    mock.timers.tick(34_999);
    assert.equal(sockets[0].closed, false);
    mock.timers.tick(1);
    assert.equal(sockets[0].closed, true);
    assert.equal(seen.states.at(-1)[0], "waiting");
    mock.timers.tick(20_000);
    assert.equal(sockets.length, 2);
    sockets[0].says(push(6));
    sockets[0].falls(1006);
    mock.timers.tick(5_000);
    assert.equal(sockets.length, 2, "what the old socket still says does not count");
    assert.deepEqual(seen.events, []);
  });

  for (const [what, end] of [
    ["a final close code", (socket) => socket.falls(4500, "bad token")],
    ["a lasting error", (socket) => socket.says({ id: 2, error: { code: "forbidden", message: "bad token", temporary: false } })],
  ]) {
    test(`${what} ends it for good`, () => {
      const seen = start();
      sockets[0].opens();
      end(sockets[0]);
      mock.timers.tick(600_000);
      assert.deepEqual(seen.states.at(-1), ["ended", "bad token"]);
      assert.equal(sockets.length, 1);
    });
  }

  test("a passing error is tried again", () => {
    start();
    sockets[0].opens();
    sockets[0].says({ id: 2, error: { code: "busy", message: "later", temporary: true } });
    assert.equal(sockets[0].closed, true);
    sockets[0].falls(1005);
    mock.timers.tick(20_000);
    assert.equal(sockets.length, 2);
  });

  test("closing says so and leaves nothing running", () => {
    const seen = start();
    sockets[0].subscribes();
    seen.live.close();
    sockets[0].says(push(6));
    sockets[0].falls(1005);
    mock.timers.tick(600_000);
    assert.equal(sockets.length, 1);
    assert.equal(sockets[0].closed, true);
    assert.deepEqual(seen.events, []);
  });
});
