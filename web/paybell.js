// Watches one payment of a paybell hub, live, from a checkout page. How to use it: paybell.d.ts.
// Goes over a WebSocket; where something on the way lets none through, over a streamed answer (server-sent events).

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 20_000;
const STEADY_MS = 10_000; // a connection that held this long makes the next wait a short one again
const ANSWER_WITHIN_MS = 10_000;
const PING_MS = 25_000; // the longest pause of a healthy line, beside the grace
const GRACE_MS = 10_000;
const SOCKETS_IN_VAIN = 2; // in a row, without a word from the hub: sockets do not get through here
const SOCKET_AGAIN_MIN_MS = 15_000;
const SOCKET_AGAIN_MAX_MS = 300_000;
const FRAME_CHARS_MAX = 1 << 20;
const ENDINGS = { 401: "unauthorized", 403: "forbidden", 404: "not_found", 410: "gone", 4500: "unauthorized", 4501: "bad_request", 4504: "limit" };

export function watchPayment({ id, token, url = ".", onUpdate, onConnection, signal }) {
  if (typeof id !== "string" || id === "") throw new TypeError("watchPayment: id must be the payment_id of a payment");
  if (typeof onUpdate !== "function") throw new TypeError("watchPayment: onUpdate must be a function");
  const base = new URL(url, import.meta.url);
  base.pathname = base.pathname.replace(/\/?$/, "/");
  const watch = new Watch({ id, token, base }, { onUpdate, onConnection, signal });
  return { close: watch.close };
}

class Watch {
  #target;
  #callbacks;
  #payment = null;
  #since = null; // the last event seen, which a new connection goes on from
  #line = null; // the connection in use, or being made
  #attempt = 0;
  #inVain = 0;
  #socketAgainMs = SOCKET_AGAIN_MIN_MS;
  #timers = {};
  #ended = false;

  constructor(target, callbacks) {
    this.#target = target;
    this.#callbacks = callbacks;
    if (callbacks.signal?.aborted) return void this.close();
    callbacks.signal?.addEventListener("abort", this.close);
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.document?.addEventListener("visibilitychange", this.#hurry);
    queueMicrotask(() => this.#connect());
  }

  close = () => {
    this.#ended = true;
    this.#drop();
    clearTimeout(this.#timers.retry);
    this.#callbacks.signal?.removeEventListener("abort", this.close);
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.document?.removeEventListener("visibilitychange", this.#hurry);
  };

  /** The network is back, or somebody looks at the page again: no reason to wait any longer. */
  #hurry = ({ type }) => {
    if (!this.#line && (type === "online" || !document.hidden)) this.#connect();
  };

  #connect() {
    if (this.#ended) return;
    clearTimeout(this.#timers.retry);
    const transport = this.#inVain < SOCKETS_IN_VAIN ? "websocket" : "sse";
    const line = (this.#line = { transport, heard: false, liveAt: 0, silenceMs: ANSWER_WITHIN_MS, close: () => {} });
    const heard = (act) => (...told) => {
      if (line !== this.#line) return;
      line.heard = true;
      this.#expectSpeech(line);
      act(...told);
    };
    const on = {
      word: heard(() => {}),
      live: heard((silenceMs) => this.#live(line, silenceMs)),
      start: heard((start) => this.#start(line, start)),
      event: heard((epoch, event) => this.#event(epoch, event)),
      progress: heard((progress) => this.#progress(progress)),
      end: heard((code, reason) => this.#end(code, reason)),
      lost: () => line === this.#line && this.#lost(line),
    };
    this.#expectSpeech(line);
    this.#tell("onConnection", { state: "connecting" });
    if (line !== this.#line) return;
    try {
      line.close = (transport === "websocket" ? openSocket : openStream)(this.#target, this.#since, on);
    } catch {
      on.lost(); // for example an http: hub in an https: page
    }
  }

  #live(line, silenceMs) {
    line.silenceMs = silenceMs;
    this.#expectSpeech(line);
    line.liveAt = performance.now();
    if (line.transport === "websocket") this.#socketAgainMs = SOCKET_AGAIN_MIN_MS;
    else this.#trySocketLater();
    this.#tell("onConnection", { state: "live", transport: line.transport });
  }

  #start(line, { epoch, seq, snapshot, events = [] }) {
    if (snapshot) {
      this.#since = { epoch, seq };
      this.#update({ kind: "snapshot", payment: snapshot });
    }
    for (const event of events) this.#event(epoch, event);
    if (line === this.#line) this.#since = { epoch, seq };
  }

  #event(epoch, event) {
    if (!this.#line) return;
    if (epoch !== this.#since?.epoch) {
      // Of a log that no snapshot told of: only a new start can tell what it builds on.
      this.#since = null;
      return this.#lost(this.#line);
    }
    if (event.sequence <= this.#since.seq) return;
    this.#since = { epoch, seq: event.sequence };
    this.#update({ kind: "event", payment: fold(this.#payment, event), event });
  }

  #progress(progress) {
    if (!this.#payment) return;
    const { confirmations, required } = progress;
    this.#update({ kind: "progress", payment: { ...this.#payment, confirmations, confirmations_required: required }, progress });
  }

  #update(update) {
    this.#payment = update.payment;
    this.#tell("onUpdate", update);
  }

  #lost(line) {
    this.#drop();
    if (line.liveAt && performance.now() - line.liveAt >= STEADY_MS) this.#attempt = 0;
    if (line.transport === "sse") this.#inVain = SOCKETS_IN_VAIN - 1;
    else this.#inVain = line.heard ? 0 : this.#inVain + 1;
    const retryInMs = retryDelay(this.#attempt++);
    this.#timers.retry = setTimeout(() => this.#connect(), retryInMs);
    this.#tell("onConnection", { state: "waiting", retryInMs });
  }

  #end(code, reason) {
    const last = { state: "ended", code: ENDINGS[code] ?? String(code), reason: reason || `the hub ended it with ${code}` };
    this.#tell("onConnection", last);
    this.close();
  }

  #drop() {
    clearTimeout(this.#timers.silence);
    clearTimeout(this.#timers.socket);
    const line = this.#line;
    this.#line = null;
    line?.close();
  }

  /** The hub speaks at least once a ping interval; a line that stays silent is dead, whatever the browser believes. */
  #expectSpeech(line) {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#lost(line), line.silenceMs);
  }

  #trySocketLater() {
    this.#timers.socket = setTimeout(() => {
      this.#inVain = SOCKETS_IN_VAIN - 1;
      this.#drop();
      this.#connect();
    }, this.#socketAgainMs);
    this.#socketAgainMs = Math.min(SOCKET_AGAIN_MAX_MS, this.#socketAgainMs * 2);
  }

  /** A callback that throws is the page's trouble: it is reported there, and the watch goes on. */
  #tell(callback, what) {
    try {
      this.#callbacks[callback]?.(what);
    } catch (error) {
      (globalThis.reportError ?? console.error)(error);
    }
  }
}

/** Full jitter: anywhere between the shortest wait and a ceiling that doubles. */
function retryDelay(attempt, random = Math.random) {
  const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (attempt + 1));
  return RETRY_MIN_MS + random() * (ceiling - RETRY_MIN_MS);
}

/** The payment after an event, by what the event tells of it. */
function fold(payment, event) {
  const { type, status, transfer } = event;
  const next = { ...payment, status, received_amount: event.received_amount, received_amount_usdt: event.received_amount_usdt };
  next.transfers = transfer && transfer.state !== "unmatched" ? withTransfer(payment.transfers, transfer) : payment.transfers;
  if (type === "payment.completed") {
    next.completed_at = Date.parse(event.timestamp) / 1000;
    next.transfers = next.transfers.map((t) => (t.state === "seen" ? { ...t, state: "confirmed" } : t));
  } else if (status !== "completed") next.completed_at = null;
  const onChain = next.transfers.filter((t) => t.state !== "reverted");
  const newest = onChain.sort((a, b) => b.block_number - a.block_number || b.log_index - a.log_index)[0];
  next.transaction_hash = newest?.transaction_hash ?? null;
  if (!newest) next.confirmations = 0;
  else if (event.transaction_hash === newest.transaction_hash) next.confirmations = event.confirmations;
  return next;
}

function withTransfer(transfers, { id, to, reason, assigned, ...credit }) {
  const same = (t) => t.transaction_hash === credit.transaction_hash && t.log_index === credit.log_index;
  if (credit.state === "reverted") return transfers.map((t) => (same(t) ? { ...t, state: "reverted" } : t));
  return [...transfers.filter((t) => !same(t)), { ...credit, settled_by: assigned ? "hand" : "match" }];
}

function openSocket({ base, id, token }, since, on) {
  const channel = `payment:${id}`;
  const address = new URL("ws", base);
  address.protocol = base.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  const say = (frame) => socket.send(JSON.stringify(frame));
  let silenceMs = PING_MS + GRACE_MS;
  socket.onopen = () => {
    say({ id: 1, connect: token ? { token } : {} });
    say({ id: 2, subscribe: since ? { channel, since } : { channel } });
  };
  socket.onmessage = ({ data }) => {
    const frame = parsed(data);
    if (!frame) return on.lost();
    on.word();
    const { connect, subscribe, push, error } = frame;
    if (connect) silenceMs = connect.ping * 1000 + GRACE_MS;
    else if (subscribe) {
      on.live(silenceMs);
      on.start(subscribe);
    } else if (push?.event) on.event(push.epoch, push.event);
    else if (push?.progress) on.progress(push.progress);
    else if (error?.temporary) on.lost();
    else if (error) on.end(error.code, error.message);
    else if (Object.keys(frame).length === 0) say({});
  };
  socket.onclose = ({ code, reason }) => {
    if (code >= 4000) on.word();
    if (code >= 4500) on.end(code, reason);
    else on.lost();
  };
  return () => socket.close();
}

function openStream(target, since, on) {
  const stop = new AbortController();
  readStream(target, since, on, stop.signal).then(on.lost, on.lost);
  return () => stop.abort();
}

async function readStream({ base, id, token }, since, on, signal) {
  const headers = { accept: "text/event-stream" };
  if (token) headers.authorization = `Bearer ${token}`;
  if (since) headers["last-event-id"] = `${since.epoch}:${since.seq}`;
  const address = new URL(`v1/payments/${encodeURIComponent(id)}/events/stream`, base);
  const answer = await fetch(address, { headers, signal, cache: "no-store", credentials: "omit" });
  const type = answer.headers.get("content-type") ?? "";
  // Only the hub's own word ends it, not that of something in between.
  if (ENDINGS[answer.status] && type.startsWith("application/problem+json")) return on.end(answer.status, (await answer.json()).detail);
  if (!answer.ok || !type.startsWith("text/event-stream")) return;
  on.live(PING_MS + GRACE_MS);
  const feed = eventReader((frame) => hearFrame(frame, on));
  const chunks = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let chunk; !(chunk = await chunks.read()).done; ) {
    on.word();
    feed(chunk.value);
  }
}

function hearFrame({ event, data, id }, on) {
  const body = parsed(data);
  if (!body || event === "error") return on.lost();
  if (event === "snapshot") on.start({ ...body, snapshot: body.payment });
  else if (event === "progress") on.progress(body);
  else if (event.includes(".")) on.event(id.slice(0, id.lastIndexOf(":")), body);
}

/** Reads server-sent events from text that may be split anywhere. */
function eventReader(onFrame) {
  let rest = "", id = "", event = "", data = [], size = 0, afterReturn = false;
  const dispatch = () => {
    if (data.length) onFrame({ event: event || "message", data: data.join("\n"), id });
    [event, data, size] = ["", [], 0];
  };
  const take = (line) => {
    if (line === "") return dispatch();
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "event") event = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "data") {
      data.push(value);
      size += value.length;
    }
  };
  return (chunk) => {
    if (!chunk) return;
    const secondHalf = afterReturn && chunk.startsWith("\n");
    afterReturn = chunk.endsWith("\r");
    const lines = (rest + chunk.slice(secondHalf ? 1 : 0)).split(/\r\n|\r|\n/);
    rest = lines.pop();
    lines.forEach(take);
    if (rest.length + size > FRAME_CHARS_MAX) throw new RangeError("a frame of the stream is too long");
  };
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return null;
  }
}
