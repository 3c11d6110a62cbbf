/**
 * How long to wait before trying again.
 *
 * @module
 */

import { LinkLost, PeerError, SenderLeaving } from "./errors.js";

/** Longest wait, in seconds, that a busy sender may ask for. */
const MOST_ASKED = 600;

/**
 * Waits that grow from failure to failure, and are random.
 *
 * The wait before the n-th attempt in a row is drawn evenly from 0 to first * 2^n seconds, or to
 * `longest` if that is shorter.  Because of the randomness, the receivers of a restarted sender do
 * not come back all at once.
 */
export class Backoff {
  #first;
  #longest;
  #patience;
  #draw;
  #failures = 0;
  /** @type {number | null} */
  #since = null;

  /**
   * @param {object} [options]
   * @param {number} [options.first] seconds
   * @param {number} [options.longest] seconds
   * @param {number | null} [options.patience] seconds without any progress after which to give up;
   *   null: never
   * @param {() => number} [options.draw] returns a number from 0 to 1
   */
  constructor({ first = 0.5, longest = 30, patience = null, draw = Math.random } = {}) {
    this.#first = first;
    this.#longest = longest;
    this.#patience = patience;
    this.#draw = draw;
  }

  /** Note a success: the next failure counts as the first. */
  progress() {
    this.#failures = 0;
    this.#since = null;
  }

  /**
   * Return the seconds to wait after `failure`; throw it when patience ends.
   *
   * A sender that is leaving says within how many seconds its receivers should come back, and a
   * busy one may say how long it will be busy at least; the wait follows that.
   *
   * @param {Error} failure
   * @param {number} now
   */
  pause(failure, now) {
    this.#since ??= now;
    const most =
      failure instanceof SenderLeaving
        ? failure.wait
        : this.#first * 2 ** Math.min(this.#failures, 30);
    const says = failure instanceof PeerError || failure instanceof LinkLost;
    const asked = says ? (failure.after ?? 0) : 0;
    const delay = Math.min(this.#longest, most) * this.#draw() + Math.min(asked, MOST_ASKED);
    if (this.#patience !== null && now + delay - this.#since > this.#patience) throw failure;
    this.#failures += 1;
    return delay;
  }
}
