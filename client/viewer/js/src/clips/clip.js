/**
 * A clip that a worker decodes, while its stream arrives.
 *
 * @module
 */

import { Superseded } from "../errors.js";

/** @typedef {import("../crossing.js").Incoming} Incoming */
/** @typedef {import("./pictures.js").Frame} Frame */
/** @typedef {import("./pictures.js").FrameWish} FrameWish */

/** One stream of several pictures. */
export class Clip {
  #number;
  #post;
  #ask;
  #priority = 0;
  #closed = false;

  /**
   * @param {number} number
   * @param {(message: Incoming, transfer?: Transferable[]) => void} post
   * @param {(clip: number, wish: FrameWish) => Promise<Frame | null>} ask
   */
  constructor(number, post, ask) {
    this.#number = number;
    this.#post = post;
    this.#ask = ask;
  }

  /**
   * Take more bytes of the stream.  Returns at once; next() and render() tell of their errors.
   *
   * @param {Uint8Array} bytes
   */
  feed(bytes) {
    if (this.#closed) return;
    const data = bytes.slice();
    this.#post({ type: "clip", picture: this.#number, data }, [data.buffer]);
  }

  /**
   * Return the next picture that is better known than when it was returned here; null if there is none
   * until more bytes are fed.
   *
   * Of several it is the one that was rendered longest ago, and `numbers` says which pictures look like
   * that by now.  While bytes wait to be decoded, most of the time is spent on those.  With `anew` it is
   * as if nothing had been returned so far.  Rejects with the error of the stream once all before it was
   * returned, with UnknownModel, ModelUnavailable, PictureTooLarge and other errors of this package, and
   * with Superseded after close().
   *
   * @param {{ maxSide?: number | null, anew?: boolean }} [options]
   * @returns {Promise<Frame | null>}
   */
  next({ maxSide = null, anew = false } = {}) {
    return this.#asked({ number: null, maxSide, anew });
  }

  /**
   * Decode all that has arrived, and return one of the pictures.
   *
   * Rejects as next() does, and with NothingDecodable if nothing is known of any picture.
   *
   * @param {{ number?: number, maxSide?: number | null }} [options]
   * @returns {Promise<Frame>}
   */
  async render({ number = 0, maxSide = null } = {}) {
    return /** @type {Frame} */ (await this.#asked({ number, maxSide, anew: false }));
  }

  /** Clips of a higher priority are computed sooner; 0 by default. */
  get priority() {
    return this.#priority;
  }

  set priority(priority) {
    this.#priority = priority;
    if (!this.#closed) this.#post({ type: "priority", picture: this.#number, priority });
  }

  /** Release the clip; waiting calls reject with Superseded. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#post({ type: "close", picture: this.#number });
  }

  /** @param {FrameWish} wish */
  #asked(wish) {
    if (this.#closed) return Promise.reject(new Superseded("the clip was closed"));
    return this.#ask(this.#number, wish);
  }
}
