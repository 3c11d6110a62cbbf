/**
 * When a connection that was lost is made again.
 *
 * @module
 */

import { Backoff } from "./backoff.js";

/** Makes a connection again after pauses that grow, or at once if that is wanted. */
export class Reconnection {
  #dial;
  #clock;
  #backoff;
  /** Cancels the next attempt. @type {(() => void) | null} */
  #callOff = null;
  /** @type {number | null} */
  #due = null;

  /**
   * @param {() => void} dial makes the next attempt
   * @param {object} options
   * @param {import("./clock.js").Clock} options.clock
   * @param {number | null} [options.patience] seconds without any progress after which to give up;
   *   null is never
   * @param {() => number} [options.draw] random numbers from 0 to 1, for the pauses
   */
  constructor(dial, { clock, patience, draw }) {
    this.#dial = dial;
    this.#clock = clock;
    this.#backoff = new Backoff({ patience, draw });
  }

  /** Seconds until the next attempt; null if none is due. */
  get retryIn() {
    return this.#due === null ? null : Math.max(0, this.#due - this.#clock.now());
  }

  /** Note that something has arrived: the next pause is a short one. */
  progress() {
    this.#backoff.progress();
  }

  /**
   * Make the next attempt after a pause; throw `error` when patience ends.
   *
   * @param {Error} error why the connection was lost
   */
  later(error) {
    const now = this.#clock.now();
    const pause = this.#backoff.pause(error, now);
    this.#due = now + pause;
    this.#callOff = this.#clock.after(pause, () => this.now());
  }

  /** Make the next attempt now. */
  now() {
    this.cancel();
    this.#dial();
  }

  /** Make no further attempt. */
  cancel() {
    this.#callOff?.();
    this.#callOff = this.#due = null;
  }
}
