/**
 * How much a receiver needs under way: the window that it grants with every ACK.
 *
 * A link that carries r bytes a second with a round trip of t is kept busy by r t bytes under way, and
 * as acknowledgements come in lumps, by twice as many.  Whatever is more only waits in a queue, where
 * neither STOP nor UPDATE reaches it.  So the window is
 *
 *     rate x (2 round trips + SLACK)
 *
 * and whoever agrees on a larger one gets no more than that.  The round trip is that of HELLO and
 * WELCOME, before there was any queue; the rate is the best of late, since a sender may have had
 * nothing to send.  After a loss TCP delivers all that waited behind it at once, at no rate that the
 * link has: so a rate is taken over SHORTEST or more.  Until there is one the window doubles.
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

/** What a receiver has seen of the link. */
export class Pace {
  /** Bytes that may be under way. */
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

  /** Bytes of payload a second, the best of late; null if it cannot be told yet. */
  get rate() {
    return this.#rates.length ? Math.max(...this.#rates) : null;
  }

  /**
   * WELCOME has come.
   *
   * @param {number} now
   */
  welcomed(now) {
    this.#roundTrip = now - this.#greeted;
  }

  /**
   * So much payload has come.
   *
   * @param {number} bytes
   * @param {number} now
   */
  arrived(bytes, now) {
    // From the first bytes only the time counts: they waited for nothing.
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
      // Faster than can be told so far.
      this.window = Math.min(2 * this.window, MAX_WINDOW);
    }
  }
}
