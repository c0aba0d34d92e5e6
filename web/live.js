// The live channel of one payment: connects, subscribes, answers pings, and after a loss comes back where it left off.

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;
const PONG_GRACE_MS = 10_000;
const SUBSCRIBE_ID = 2;

/** Full jitter: anywhere between the shortest wait and a ceiling that doubles. */
export function retryDelay(attempt, random = Math.random) {
  const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (attempt + 1));
  return RETRY_MIN_MS + random() * (ceiling - RETRY_MIN_MS);
}

/**
 * `on.state(name, detail)`  connecting | live | waiting (detail: ms until the next try) | ended (detail: the reason)
 * `on.snapshot(payment)`    where the payment stands, when nothing could be replayed
 * `on.event(event)`         every event once, in order
 * `on.progress(progress)`   confirmations on the way
 */
export class Live {
  #on;
  #channel;
  #credential;
  #since = null;
  #socket = null;
  #attempt = 0;
  #retryTimer = 0;
  #silenceTimer = 0;
  #silenceMs = CONNECT_TIMEOUT_MS;
  #ended = false;

  constructor(paymentId, credential, on) {
    this.#channel = `payment:${paymentId}`;
    this.#credential = credential;
    this.#on = on;
    addEventListener("online", this.#retryNow);
    this.#connect();
  }

  close() {
    this.#end("closed");
  }

  #connect() {
    this.#on.state("connecting");
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws`);
    this.#socket = socket;
    this.#silenceMs = CONNECT_TIMEOUT_MS;
    this.#expectSpeech();
    socket.onopen = () => {
      this.#send({ id: 1, connect: this.#credential ? { token: this.#credential } : {} });
      const channel = this.#channel;
      this.#send({ id: SUBSCRIBE_ID, subscribe: this.#since ? { channel, since: this.#since } : { channel } });
    };
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lost(socket, code, reason);
  }

  #receive(text) {
    this.#expectSpeech();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.push) this.#push(frame.push);
    else if (frame.error) this.#refused(frame.error);
    else if (frame.connect) this.#silenceMs = (frame.connect.ping ?? 25) * 1000 + PONG_GRACE_MS;
    else if (frame.subscribe) this.#subscribed(frame.subscribe);
    else if (Object.keys(frame).length === 0) this.#send({});
  }

  #subscribed({ epoch, seq, snapshot, events = [] }) {
    this.#attempt = 0;
    this.#on.state("live");
    if (snapshot) this.#on.snapshot(snapshot);
    for (const event of events) this.#on.event(event);
    this.#since = { epoch, seq };
  }

  #push({ channel, epoch, seq, event, progress }) {
    if (channel !== this.#channel) return;
    if (progress) this.#on.progress(progress);
    if (!event) return;
    this.#since = { epoch, seq };
    this.#on.event(event);
  }

  #refused({ message = "refused", temporary = false }) {
    if (temporary) this.#socket.close();
    else this.#end(message);
  }

  #lost(socket, code, reason) {
    if (this.#ended || socket !== this.#socket) return;
    if (code >= 4500 && code <= 4999) return this.#end(reason || `closed with ${code}`);
    clearTimeout(this.#silenceTimer);
    this.#socket = null;
    const wait = retryDelay(this.#attempt++);
    this.#on.state("waiting", wait);
    this.#retryTimer = setTimeout(() => this.#connect(), wait);
  }

  #retryNow = () => {
    if (this.#ended || this.#socket) return;
    clearTimeout(this.#retryTimer);
    this.#connect();
  };

  /** The hub speaks at least once a ping interval; a line that stays silent is dead, whatever the browser believes. */
  #expectSpeech() {
    clearTimeout(this.#silenceTimer);
    const socket = this.#socket;
    this.#silenceTimer = setTimeout(() => {
      socket.close();
      this.#lost(socket, 0, "silent");
    }, this.#silenceMs);
  }

  #end(reason) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#silenceTimer);
    removeEventListener("online", this.#retryNow);
    this.#socket?.close();
    this.#socket = null;
    this.#on.state("ended", reason);
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}
