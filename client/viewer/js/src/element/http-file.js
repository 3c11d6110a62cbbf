/**
 * A stream that any web server has as a file: its bytes from anywhere on, as they arrive.
 *
 * @module
 */

import { Backoff } from "../backoff.js";
import { CLOCK } from "../clock.js";
import { LinkLost, PeerError } from "../errors.js";
import { ask, host } from "../exchange.js";

const NOT_SATISFIABLE = 416;
const SPAN = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/;
/** What Content-Range says of a file that ends before the range. */
const NO_SPAN = /^bytes \*\/(\d{1,15})$/;

/**
 * A piece of the file, and the offset of its first byte.  An offset of 0 after others says that the
 * server has replaced the file: what came before is of another one.  Such a piece may be empty.
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
   * server answers range requests (RFC 9110, section 14).  After an answer that brings nothing new it
   * waits, too, before it asks again.  Throws UnknownImage if there is no such file, PeerError if the
   * server refuses, LinkLost when patience ends, and what `signal` says when it is aborted.
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
      const before = at;
      try {
        for await (const piece of this.#answer(at, end, signal)) {
          at = piece.at + piece.data.length;
          backoff.progress();
          yield piece;
        }
        // A server may answer with less than it was asked for.
        if (this.size === null || at >= Math.min(end ?? Infinity, this.size)) return;
        // Asked again at once, one that brings nothing could be asked for ever.
        if (at <= before) throw new LinkLost(`${host(this.#url)} sends nothing new of the file`);
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
      const told = described(answer, at);
      const renewed = at > 0 && this.#isAnother(told, at);
      if (renewed) {
        // Said before it is noted and before more is asked for, which may fail: nobody shall go on
        // after bytes of the file before.
        yield { at: 0, data: new Uint8Array() };
        this.#identity = this.size = null;
      }
      this.#note(told);
      const from = renewed ? 0 : at;
      if (answer.status !== NOT_SATISFIABLE && told.first <= from) {
        yield* cut(body, told.first, from, end);
        return;
      }
      if (!renewed && told.first > at) throw new PeerError("http", "the server sent another range");
      if (!renewed) return;
    } finally {
      close();
    }
    yield* this.#answer(0, end, signal);
  }

  /**
   * Tell whether an answer to a request from `at` on is of another file than those before.
   *
   * @param {Told} told
   * @param {number} at
   */
  #isAnother({ size, most, identity }, at) {
    if (size !== null && size < at) return true;
    if (this.#identity === null) return false;
    const resized = this.size !== null && (size === null ? this.size > most : this.size !== size);
    return resized || (identity ?? this.#identity) !== this.#identity;
  }

  /** @param {Told} told */
  #note({ size, identity }) {
    const same = (identity ?? this.#identity) === this.#identity;
    this.#identity = identity ?? this.#identity;
    this.size = size ?? (same ? this.size : null);
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
 * What an answer tells of the file: the offset of the answer's first byte; the size of the file,
 * null if it does not say, and the most that it can be; and what distinguishes it from others, null
 * if it does not say.
 *
 * @typedef {{ first: number, size: number | null, most: number, identity: string | null }} Told
 */

/**
 * Return what an answer to a request from `at` on tells.
 *
 * @param {Response} answer
 * @param {number} at
 * @returns {Told}
 */
function described({ status, headers }, at) {
  // Pages of other origins may not see Content-Range: such a server is believed.
  const range = headers.get("content-range") ?? "";
  if (status === NOT_SATISFIABLE) {
    // Many servers leave out what distinguishes the file, or a part of that.
    return { first: at, size: sized(NO_SPAN.exec(range)?.[1]), most: at, identity: null };
  }
  const identity = [headers.get("etag"), headers.get("last-modified")].join(" ");
  const span = SPAN.exec(range);
  const whole = headers.get("content-encoding") ? null : headers.get("content-length");
  const first = status === 206 ? Number(span?.[1] ?? at) : 0;
  return { first, size: sized(status === 206 ? span?.[3] : whole), most: Infinity, identity };
}

/** @param {string | null | undefined} digits */
function sized(digits) {
  return /^\d+$/.test(digits ?? "") ? Number(digits) : null;
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
