// The socket: one connection, the channel of all payments, and on request the progress of one. Comes back by itself and goes
// on after the last event that it saw; where the hub cannot replay them all, it says so (`onGap`).

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 15_000;
const STEADY_MS = 10_000; // a connection that held this long makes the next wait a short one again
const ANSWER_WITHIN_MS = 10_000;
const GRACE_MS = 10_000;
const FLUSH_EVERY_MS = 100;
const FLUSH_UNSEEN_MS = 1_000;
const QUEUE_MAX = 2_000;
const BAD_TOKEN = 4500;
const CHANNEL = "payments";

export class Line {
  #token;
  #on;
  #socket = null;
  #since = null;
  #watched = null; // the payment whose progress is wanted
  #number = 2;
  #queue = [];
  #flush = 0;
  #attempt = 0;
  #silenceMs = ANSWER_WITHIN_MS;
  #liveAt = 0;
  #timers = {};

  /** `on`: state(word, more), events(list), gap(), progress(id, progress), and refused(reason, key) where the hub does not take the key. */
  constructor(token, on) {
    this.#token = token;
    this.#on = on;
    globalThis.addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#connect();
  }

  close() {
    this.#drop();
    clearTimeout(this.#timers.retry);
    clearTimeout(this.#flush);
    globalThis.removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
  }

  /** The number of the newest event that is known, or null before the first answer. */
  get newest() {
    return this.#since?.seq ?? null;
  }

  /** Also tells the confirmations of this payment, and of no other; of none with null. */
  watch(id) {
    if (id === this.#watched) return;
    const before = this.#watched;
    this.#watched = id;
    if (!this.#liveAt) return;
    if (before) this.#say({ unsubscribe: { channel: `payment:${before}` } });
    if (id) this.#say({ subscribe: { channel: `payment:${id}` } });
  }

  #hurry = ({ type }) => {
    if (!this.#socket && (type === "online" || !document.hidden)) this.#connect();
  };

  #connect() {
    clearTimeout(this.#timers.retry);
    this.#on.state("connecting");
    this.#silenceMs = ANSWER_WITHIN_MS;
    const address = new URL("/ws", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(address));
    const mine = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = mine(() => {
      this.#send({ id: 1, connect: this.#token ? { token: this.#token } : {} });
      this.#send({ id: 2, subscribe: this.#since ? { channel: CHANNEL, since: this.#since } : { channel: CHANNEL } });
    });
    socket.onmessage = mine(({ data }) => {
      this.#expectSpeech();
      this.#hear(parsed(data));
    });
    socket.onclose = mine(({ code, reason }) => (code >= 4500 ? this.#end(reason || `the hub closed it with ${code}`, code === BAD_TOKEN) : this.#lost()));
    this.#expectSpeech();
  }

  #hear(frame) {
    if (frame === null) return this.#lost();
    const { id, connect, subscribe, push, error } = frame;
    if (connect) this.#silenceMs = connect.ping * 1000 + GRACE_MS;
    else if (subscribe && id === 2) this.#subscribed(subscribe);
    else if (push?.channel === CHANNEL && push.event) this.#take(push.epoch, [push.event]);
    else if (push?.progress) this.#on.progress(push.channel.slice("payment:".length), push.progress);
    else if (error && id <= 2) error.temporary ? this.#lost() : this.#end(error.message, error.code === "unauthorized");
    else if (Object.keys(frame).length === 0) this.#send({});
  }

  #subscribed({ epoch, seq, recovered, events = [] }) {
    this.#liveAt = performance.now();
    if (recovered) this.#take(epoch, events);
    this.#since = { epoch, seq };
    if (!recovered) this.#on.gap();
    if (this.#watched) this.#say({ subscribe: { channel: `payment:${this.#watched}` } });
    this.#on.state("live");
  }

  #take(epoch, events) {
    for (const event of events) {
      if (epoch === this.#since?.epoch && event.sequence <= this.#since.seq) continue;
      this.#since = { epoch, seq: event.sequence };
      this.#queue.push(event);
    }
    if (!this.#flush && this.#queue.length) this.#flush = setTimeout(this.#deliver, document.hidden ? FLUSH_UNSEEN_MS : FLUSH_EVERY_MS);
  }

  /** Many events become one change of the page. More than a page can show are not shown one by one. */
  #deliver = () => {
    this.#flush = 0;
    const events = this.#queue;
    this.#queue = [];
    const tell = () => (events.length > QUEUE_MAX ? this.#on.gap() : this.#on.events(events));
    if (document.hidden) tell();
    else requestAnimationFrame(tell);
  };

  #lost() {
    const held = this.#liveAt && performance.now() - this.#liveAt >= STEADY_MS;
    this.#drop();
    if (held) this.#attempt = 0;
    const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (++this.#attempt));
    const wait = RETRY_MIN_MS + Math.random() * (ceiling - RETRY_MIN_MS);
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
    this.#on.state("waiting", wait);
  }

  #end(reason, isTheKey) {
    this.close();
    this.#on.state("ended", reason);
    if (isTheKey) this.#on.refused(reason, this.#token);
  }

  #drop() {
    clearTimeout(this.#timers.silence);
    this.#liveAt = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #expectSpeech() {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#lost(), this.#silenceMs);
  }

  #say(command) {
    this.#send({ id: ++this.#number, ...command });
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return null;
  }
}
