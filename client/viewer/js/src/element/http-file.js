/**
 * A stream that any web server has as a file: its bytes from anywhere on, as they arrive.
 *
 * @module
 */

import { Backoff } from "../backoff.js";
import { CLOCK } from "../clock.js";
import { LinkLost, PeerError } from "../errors.js";
import { ask } from "../exchange.js";

const NOT_SATISFIABLE = 416;
const SPAN = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/;

/**
 * A piece of the file, and the offset of its first byte.  An offset of 0 after others says that the
 * server has replaced the file: what came before is of another one.
 *
 * @typedef {{ at: number, data: Uint8Array }} Piece
 */

/**
 * @typedef {object} Options
 * @property {number | null} [patience] seconds without any progress after which to give up; null is
 *   never
 * @property {typeof globalThis.fetch} [fetch]
 * @property {import("../clock.js").Clock} [clock]
 * @property {() => number} [draw] random numbers from 0 to 1, for the waits before new attempts
 */

/** A file at a URL. */
export class HttpFile {
  #url;
  #fetch;
  #clock;
  #patience;
  #draw;
  /** What distinguishes the file from others at this URL. @type {string | null} */
  #identity = null;
  /** The size of the file in bytes; null while it is not known. @type {number | null} */
  size = null;

  /** @param {string} url @param {Options} [options] */
  constructor(url, { patience = null, fetch, clock = CLOCK, draw = Math.random } = {}) {
    this.#url = new URL(url);
    // Called as a method, the browser's own refuses.
    this.#fetch =
      fetch ??
      ((/** @type {Parameters<typeof globalThis.fetch>} */ ...all) => globalThis.fetch(...all));
    this.#clock = clock;
    this.#patience = patience;
    this.#draw = draw;
  }

  /**
   * Yield the bytes from `start` to `end`, or to the end of the file if `end` is null.
   *
   * A connection that breaks or stalls is made again, and nothing that has arrived is asked for twice if the
   * server answers range requests (RFC 9110, section 14).  Throws UnknownImage if there is no such
   * file, PeerError if the server refuses, LinkLost when patience ends, and what `signal` says when
   * it is aborted.
   *
   * @param {number} start
   * @param {number | null} end
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<Piece, void, void>}
   */
  async *read(start, end, signal) {
    const backoff = new Backoff({ patience: this.#patience, draw: this.#draw });
    let at = start;
    while (end === null || at < end) {
      try {
        for await (const piece of this.#answer(at, end, signal)) {
          at = piece.at + piece.data.length;
          backoff.progress();
          yield piece;
        }
        // A server may answer with less than it was asked for.
        if (this.size === null || at >= Math.min(end ?? Infinity, this.size)) return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof LinkLost)) throw error;
        await this.#wait(backoff.pause(error, this.#clock.now()), signal);
      }
    }
  }

  /**
   * Yield what one answer brings.
   *
   * @param {number} at
   * @param {number | null} end
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<Piece, void, void>}
   */
  async *#answer(at, end, signal) {
    const ranged = at > 0 || end !== null;
    const { answer, body, close } = await ask(this.#url, {
      fetch: this.#fetch,
      clock: this.#clock,
      headers: ranged ? { Range: `bytes=${at}-${end === null ? "" : end - 1}` } : {},
      signals: [signal],
      accepted: at > 0 ? [NOT_SATISFIABLE] : [],
    });
    try {
      if (answer.status === NOT_SATISFIABLE) return;
      const span = SPAN.exec(answer.headers.get("content-range") ?? "");
      // Pages of other origins may not see Content-Range: such a server is believed.
      const first = answer.status === 206 ? Number(span?.[1] ?? at) : 0;
      const renewed = this.#isAnother(answer, span?.[3]) && at > 0;
      if (!renewed || first === 0) {
        if (first > at) throw new PeerError("http", "the server sent another range");
        yield* cut(body, first, renewed ? 0 : at, end);
        return;
      }
    } finally {
      close();
    }
    yield* this.#answer(0, end, signal);
  }

  /**
   * Note what is known of the file, and tell whether it is another one than before.
   *
   * @param {Response} response
   * @param {string | undefined} total the size that Content-Range states
   */
  #isAnother({ status, headers }, total) {
    const whole = headers.get("content-encoding") ? null : headers.get("content-length");
    const told = status === 206 ? total : whole;
    const size = /^\d+$/.test(told ?? "") ? Number(told) : null;
    const identity = [headers.get("etag"), headers.get("last-modified")].join(" ");
    const resized = size !== null && this.size !== null && size !== this.size;
    const another = this.#identity !== null && (resized || this.#identity !== identity);
    this.#identity = identity;
    this.size = another ? size : (size ?? this.size);
    return another;
  }

  /** @param {number} seconds @param {AbortSignal} signal */
  #wait(seconds, signal) {
    return new Promise((resolve, reject) => {
      const stop = () => (callOff(), reject(signal.reason));
      const callOff = this.#clock.after(seconds, () => {
        signal.removeEventListener("abort", stop);
        resolve(null);
      });
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}

/**
 * Yield the part from `start` to `end` of bytes that begin at `first`.
 *
 * @param {AsyncIterable<Uint8Array>} body
 * @param {number} first
 * @param {number} start
 * @param {number | null} end
 * @returns {AsyncGenerator<Piece, void, void>}
 */
async function* cut(body, first, start, end) {
  let place = first;
  for await (const piece of body) {
    const from = Math.max(0, start - place);
    const data = piece.subarray(from, end === null ? undefined : Math.max(0, end - place));
    if (data.length) yield { at: place + from, data };
    place += piece.length;
    if (end !== null && place >= end) return;
  }
}
