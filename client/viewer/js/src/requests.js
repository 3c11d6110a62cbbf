/**
 * HTTP requests that are made again when they fail.
 *
 * @module
 */

import { LinkLost } from "./errors.js";
import { ask } from "./exchange.js";

/**
 * @typedef {object} Owner
 * @property {(status: import("./sender.js").Status, error?: Error) => void} status
 * @property {(bytes: number) => void} arrived
 */

/**
 * The requests to one server.  After a failure that may pass, all of them wait together, so that a
 * server that is down is not asked by each.
 */
export class Requests {
  /** The seconds that the first answer took to begin; null before. @type {number | null} */
  roundTrip = null;
  #fetch;
  #clock;
  #backoff;
  #owner;
  #closing = new AbortController();
  /** Resolves when the wait after a failure is over. @type {Promise<void> | null} */
  #pause = null;
  #resume = () => {};
  /** @type {number | null} */
  #due = null;
  /** @type {Error | null} */
  #over = null;

  /**
   * @param {object} options
   * @param {typeof globalThis.fetch} options.fetch
   * @param {import("./clock.js").Clock} options.clock
   * @param {import("./backoff.js").Backoff} options.backoff
   * @param {Owner} owner
   */
  constructor({ fetch, clock, backoff }, owner) {
    this.#fetch = fetch;
    this.#clock = clock;
    this.#backoff = backoff;
    this.#owner = owner;
  }

  /** Seconds until the next attempt while they wait for one; null otherwise. */
  get retryIn() {
    return this.#due === null ? null : Math.max(0, this.#due - this.#clock.now());
  }

  /** Make the next attempt now. */
  retry() {
    this.#resume();
  }

  /**
   * Fetch `url` and pass its body to `take`, piece by piece; if `take` returns true, the rest is not
   * fetched.  After a failure that may pass it starts again, with the headers that `headers`
   * returns then; LinkLost of `done`, which is called at the end of the body, is such a failure.
   *
   * Rejects with UnknownImage if there is no such file, with another PeerError for other refusals,
   * with what `head`, `take` and `done` throw, and with LinkLost when patience ends, when it is
   * closed, or when `signal` is aborted.
   *
   * @param {URL} url
   * @param {object} options
   * @param {() => Record<string, string>} [options.headers]
   * @param {RequestCache} [options.cache]
   * @param {AbortSignal} [options.signal]
   * @param {number[]} [options.accepted] statuses that are no failures, besides 200 and 206
   * @param {(answer: Response) => void} [options.head]
   * @param {(piece: Uint8Array) => boolean} options.take
   * @param {() => void} [options.done]
   */
  async get(url, options) {
    while (true) {
      await this.#pause;
      if (this.#over) throw this.#over;
      if (options.signal?.aborted) throw new LinkLost("the request was called off");
      try {
        await this.#once(url, options);
        this.#backoff.progress();
        return;
      } catch (error) {
        if (this.#over) throw this.#over;
        const aborted = options.signal?.aborted;
        if (!(error instanceof LinkLost) || aborted) throw error;
        this.#fail(error);
      }
    }
  }

  /** Call off all requests, which reject with `error`. @param {Error} error */
  close(error) {
    this.#over ??= error;
    this.#closing.abort();
    this.#resume();
  }

  /**
   * @param {URL} url
   * @param {Parameters<Requests["get"]>[1]} options
   */
  async #once(url, { headers, cache, signal, accepted, head, take, done }) {
    const signals = signal ? [signal, this.#closing.signal] : [this.#closing.signal];
    const began = this.#clock.now();
    const { answer, body, close } = await ask(url, {
      fetch: this.#fetch,
      clock: this.#clock,
      headers: headers?.(),
      cache,
      signals,
      accepted,
    });
    try {
      this.roundTrip ??= this.#clock.now() - began;
      this.#owner.status("connected");
      head?.(answer);
      for await (const value of body) {
        this.#owner.arrived(value.length);
        this.#backoff.progress();
        if (take(value)) return;
      }
      done?.();
    } finally {
      close();
    }
  }

  /** Make all requests wait. @param {LinkLost} error */
  #fail(error) {
    if (this.#pause) return;
    const now = this.#clock.now();
    let delay;
    try {
      delay = this.#backoff.pause(error, now);
    } catch {
      this.close(error);
      this.#owner.status("closed", error);
      return;
    }
    this.#due = now + delay;
    this.#pause = new Promise((resolve) => {
      const callOff = this.#clock.after(delay, () => this.#resume());
      this.#resume = () => {
        callOff();
        this.#pause = this.#due = null;
        this.#resume = () => {};
        if (!this.#over) this.#owner.status("connecting", error);
        resolve();
      };
    });
    this.#owner.status("waiting", error);
  }
}
