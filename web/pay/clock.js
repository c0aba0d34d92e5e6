// The chain's time, which decides what is in time. The device's own clock may be wrong and is never asked for the time:
// from each time that the hub tells, of the chain or of its own clock, a monotonic clock carries on. The hub's own says how late
// it is while the hub has blocks to catch up on.

export class ChainClock {
  #monotonic;
  #ahead = null; // chain time less monotonic time, in seconds

  /** `monotonic` answers milliseconds since whenever. */
  constructor(monotonic = () => performance.now()) {
    this.#monotonic = monotonic;
  }

  /** What the hub tells is never ahead of the chain and sometimes behind it, so the latest time it implies is right. */
  hear(chainSeconds) {
    if (!Number.isFinite(chainSeconds)) return;
    const ahead = chainSeconds - this.#monotonic() / 1000;
    if (this.#ahead === null || ahead > this.#ahead) this.#ahead = ahead;
  }

  /** Unix seconds, or null before the hub has told any. */
  now() {
    return this.#ahead === null ? null : this.#monotonic() / 1000 + this.#ahead;
  }

  /** Seconds until then, not less than 0; null where nobody can tell. */
  until(seconds) {
    const now = this.now();
    return now === null ? null : Math.max(0, seconds - now);
  }
}
