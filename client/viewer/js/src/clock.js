/**
 * A clock with timers, which tests can replace.
 *
 * @module
 */

/**
 * `now()` returns seconds since any fixed moment; `after()` runs a task once, and returns a
 * function that cancels it.
 *
 * @typedef {object} Clock
 * @property {() => number} now
 * @property {(seconds: number, task: () => void) => () => void} after
 */

/** @type {Clock} */
export const CLOCK = Object.freeze({
  now: () => performance.now() / 1000,
  after(/** @type {number} */ seconds, /** @type {() => void} */ task) {
    const timer = setTimeout(task, 1000 * seconds);
    return () => clearTimeout(timer);
  },
});
