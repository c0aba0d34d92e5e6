// The hub as a whole, as last heard: its health, its counters, its trends. Asks again every few seconds while someone looks,
// sooner when something happens, and never more often than once a second. Its endpoints are asked for less often.

import * as calls from "./calls.js";

const REFRESH_MS = 4_000;
const RETRY_MS = 2_000;
const SOONEST_MS = 1_000;
const TRENDS_MS = 5_000;
const ENDPOINTS_MS = 10_000;
const ALL = "";

export class HubState {
  health = null;
  stats = null;
  trends = null;
  /** Why the last question got no answer. */
  trouble = null;
  trendsTrouble = null;
  #onChange;
  #onBack;
  #timer = 0;
  #asking = false;
  #again = false;
  #askedAt = 0;
  #trendsAt = 0;
  #trendsWanted = false;
  #ended = false;

  /** `onBack` is called when the hub answers again after it did not. */
  constructor(onChange, onBack) {
    this.#onChange = onChange;
    this.#onBack = onBack;
    document.addEventListener("visibilitychange", this.#look);
    this.#ask();
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#look);
  }

  #look = () => document.hidden || this.nudge();

  /** Something happened: the counters have changed. */
  nudge() {
    if (this.#asking) this.#again = true;
    else this.#later(Math.max(0, this.#askedAt + SOONEST_MS - Date.now()));
  }

  wantTrends(wanted) {
    this.#trendsWanted = wanted;
    if (wanted) this.nudge();
  }

  #later(ms) {
    clearTimeout(this.#timer);
    if (!this.#ended) this.#timer = setTimeout(() => this.#ask(), ms);
  }

  async #ask() {
    this.#asking = true;
    this.#again = false;
    this.#askedAt = Date.now();
    const before = this.trouble;
    try {
      [this.health, this.stats] = await Promise.all([calls.health(), calls.stats()]);
      this.trouble = null;
    } catch (error) {
      this.trouble = error;
    }
    await this.#askTrends();
    this.#asking = false;
    if (this.#ended) return;
    this.#onChange();
    if (before && !this.trouble) this.#onBack();
    if (this.#again) this.#later(SOONEST_MS);
    else if (!document.hidden) this.#later(this.trouble ? RETRY_MS : REFRESH_MS);
  }

  async #askTrends() {
    if (!this.#trendsWanted || this.trouble || Date.now() - this.#trendsAt < TRENDS_MS) return;
    this.#trendsAt = Date.now();
    try {
      this.trends = await calls.trends();
      this.trendsTrouble = null;
    } catch (error) {
      this.trendsTrouble = error;
    }
  }
}

/**
 * What this tab knows of the hub's endpoints. No event tells how they fare, so they are asked for again and again, but whatever
 * happens not sooner than every ten seconds; only what somebody does here, or another log of the hub's, makes that sooner.
 */
export class Endpoints {
  #known = new Map();
  #ask;
  #now;

  constructor(ask = calls, now = () => performance.now()) {
    this.#ask = ask;
    this.#now = now;
  }

  all() {
    return this.#get(ALL, async () => (await this.#ask.endpoints()).data);
  }

  one(id) {
    return this.#get(id, () => this.#ask.endpoint(id));
  }

  /** Whether it is time to ask for the list again. */
  get allDue() {
    return this.#due(ALL);
  }

  forget() {
    this.#known.clear();
  }

  /** Events tell at once that the hub disabled one. Who did it by hand may have enabled it again by now. */
  told(events) {
    for (const { type, endpoint, timestamp } of events) {
      if (type !== "endpoint.disabled" || endpoint.reason === "by_hand") continue;
      const change = { status: "disabled", disabled_reason: endpoint.reason, disabled_at: Date.parse(timestamp) / 1000 };
      this.#change(ALL, (all) => all.map((one) => (one.id === endpoint.id ? { ...one, ...change } : one)));
      this.#change(endpoint.id, (one) => ({ ...one, ...change }));
    }
  }

  #due(name) {
    const known = this.#known.get(name);
    return !known || this.#now() - known.at >= ENDPOINTS_MS;
  }

  /** An answer is kept, a failure is not: whoever tries again is not told the old one. */
  async #get(name, ask) {
    if (!this.#due(name) && !this.#known.get(name).failed) return this.#known.get(name).answer;
    const known = { at: this.#now(), failed: false, answer: ask() };
    this.#known.set(name, known);
    try {
      return await known.answer;
    } catch (error) {
      known.failed = true;
      throw error;
    }
  }

  /** Also of an answer that is still under way, which may be older than the event. */
  #change(name, change) {
    const known = this.#known.get(name);
    if (!known || known.failed) return;
    known.answer = known.answer.then(change);
    known.answer.catch(() => {});
  }
}
