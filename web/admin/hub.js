// The hub as a whole, as last heard: its health, its counters, its trends. Asks again every few seconds while someone looks,
// sooner when something happens, and never more often than once a second.

import * as calls from "./calls.js";

const REFRESH_MS = 4_000;
const RETRY_MS = 2_000;
const SOONEST_MS = 1_000;
const TRENDS_MS = 5_000;

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
