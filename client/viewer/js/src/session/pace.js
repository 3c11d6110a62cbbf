/**
 * Sets the receiver's window: how many bytes may be in flight.
 *
 * A link that carries r bytes a second with a round-trip time of t is kept busy by r t bytes in
 * flight, or twice as many because acknowledgements arrive in bursts.  More than that waits in
 * queues on the way, where neither STOP nor UPDATE reaches it.  So the window is
 *
 *     rate x (2 round trips + SLACK)
 *
 * even if HELLO and WELCOME allow a larger one.  The round-trip time is that of HELLO and WELCOME,
 * before there is any queue.  The rate is the best recent one, since a sender may have had nothing
 * to send.  After a loss TCP delivers all that waited behind it at once, which looks like a rate
 * that the link does not have; so rates are averaged over at least SHORTEST.  Until a rate is
 * known, the window doubles.
 *
 * @module
 */

import { MAX_WINDOW } from "./messages.js";

/** Bytes, before the first ACK too: two of the largest frames. */
const LEAST = 2200;
/** Seconds. */
const SLACK = 1;
const SHORTEST = 0.1;
const SAMPLES = 8;

/** The receiver's measurements of the link. */
export class Pace {
  /** Bytes that may be in flight. */
  window = LEAST;
  #greeted;
  /** @type {number | null} */
  #roundTrip = null;
  /** @type {number[]} */
  #rates = [];
  /** @type {number | null} */
  #since = null;
  #bytes = 0;

  /** @param {number} now seconds */
  constructor(now) {
    this.#greeted = now;
  }

  /** Seconds from HELLO to WELCOME; null before. */
  get roundTrip() {
    return this.#roundTrip;
  }

  /** Best recent rate in bytes of payload a second; null while it is unknown. */
  get rate() {
    return this.#rates.length ? Math.max(...this.#rates) : null;
  }

  /**
   * Note that WELCOME has arrived.
   *
   * @param {number} now
   */
  welcomed(now) {
    this.#roundTrip = now - this.#greeted;
  }

  /**
   * Note that bytes of payload have arrived.
   *
   * @param {number} bytes
   * @param {number} now
   */
  arrived(bytes, now) {
    // Of the first bytes only the time counts, because they did not wait for a window.
    if (this.#since === null) this.#since = now;
    else this.#bytes += bytes;
  }

  /**
   * Set the window to grant with an ACK that is sent now.
   *
   * @param {number} now
   */
  renew(now) {
    if (this.#since !== null && now - this.#since >= SHORTEST) {
      this.#rates.push(this.#bytes / (now - this.#since));
      if (this.#rates.length > SAMPLES) this.#rates.shift();
      this.#since = now;
      this.#bytes = 0;
    }
    const { rate } = this;
    if (rate !== null) {
      const wanted = rate * (2 * (this.#roundTrip ?? 0) + SLACK);
      this.window = Math.max(Math.floor(wanted), LEAST);
    } else if (this.#since !== null) {
      // The rate is higher than can be measured so far.
      this.window = Math.min(2 * this.window, MAX_WINDOW);
    }
  }
}
