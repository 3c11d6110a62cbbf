/**
 * Decodes a stream, or the part of it that has arrived, into pictures.
 *
 * @module
 */

import { StreamReader } from "../container/reader.js";
import { NothingDecodable, PictureTooLarge, UnknownModel } from "../errors.js";
import * as allowance from "./allowance.js";
import { Chain } from "./chain.js";
import { decibel, range } from "./forecast.js";
import { observed, rendered } from "./rendering.js";

/** @typedef {import("./chain.js").After} After */
/** @typedef {import("./chain.js").Denoiser} Denoiser */
/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/grammar.js").Step} Step */
/** @typedef {import("./rendering.js").Method} Method */
/** @typedef {import("./rendering.js").Picture} Picture */

/**
 * A denoiser that streams can name.
 *
 * @typedef {{ fingerprint: string, denoiser: Denoiser }} Model
 */

/**
 * `predictedPsnr` is the expected PSNR of the mmse picture in dB, predicted from the stream alone,
 * and `predictedPsnrRange` the range for nine pictures in ten; `bytes` and `bpp` are the length of
 * the prefix that was decoded.
 *
 * @typedef {Picture & { method: Method, bytes: number, bpp: number, predictedPsnr: number,
 *   predictedPsnrRange: [number, number] }} Rendering
 */

/** Most pixels of a picture: a header of 16 bytes can name one of four billion. */
export const MOST_PIXELS = 100_000_000;

/**
 * Return the chain of the header's picture at its beginning.
 *
 * Throws PictureTooLarge.
 *
 * @param {Header} header
 * @param {Denoiser} denoiser
 * @param {number} [mostPixels]
 */
export function begun(header, denoiser, mostPixels = MOST_PIXELS) {
  if (header.width * header.height > mostPixels) {
    throw new PictureTooLarge(
      `the stream holds a picture of ${header.width}x${header.height}, ` +
        `more than the limit of ${mostPixels} pixels`,
    );
  }
  return Chain.beginning(denoiser, header);
}

/**
 * Decode a stream fed in pieces of any size.
 *
 * `models` are the available models, by fingerprint, of which the stream names one.  Feeding
 * executes the complete steps, with one evaluation of the denoiser each; rendering takes one or two
 * more (for flow and ancestral, several).  Calls may overlap; they are carried out in their order.
 */
export class Decoder {
  #models;
  #mostPixels;
  #reader;
  /** @type {Chain | null} */
  #chain = null;
  /** @type {Step | null} */
  #step = null;
  #payload = new Uint8Array(0);
  #arrived = 0;
  #work = 0;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  /** How many checks have failed; only with `damaged`, else the first failure throws. */
  damage = 0;

  /**
   * @param {{ get(fingerprint: string): Model | undefined }} models
   * @param {{ damaged?: boolean, mostPixels?: number }} [options]
   */
  constructor(models, { damaged = false, mostPixels = MOST_PIXELS } = {}) {
    this.#models = models;
    this.#mostPixels = mostPixels;
    this.#reader = new StreamReader({ damaged });
  }

  /** The stream's header, once it has arrived. */
  get header() {
    return this.#reader.header;
  }

  /** How many bytes were fed so far. */
  get bytesReceived() {
    return this.#reader.received;
  }

  /** Whether enough has arrived to render a picture. */
  get ready() {
    return this.#chain !== null && (this.#chain.steps > 0 || this.#arrived > 0);
  }

  /** How many steps were executed so far. */
  get steps() {
    return this.#chain?.steps ?? 0;
  }

  /** Denoiser evaluations so far, in full-resolution equivalents, renderings included. */
  get evaluations() {
    return this.#chain?.evaluations ?? 0;
  }

  /**
   * Take more bytes of the stream.
   *
   * Rejects with StreamError if they are not a valid stream, UnknownModel if the stream's model is
   * not available, PictureTooLarge beyond `mostPixels`.
   *
   * @param {Uint8Array} data
   * @returns {Promise<void>}
   */
  feed(data) {
    const own = data.slice();
    return this.#inTurn(() => this.#take(own));
  }

  /**
   * Render all that has arrived, including a part of a step.
   *
   * A number r as `method` gives (1 - r) mmse + r flow; 0 is the same as "mmse", 1 as "flow".
   * Rejects with NothingDecodable before the first record, RangeError for numbers out of range.
   *
   * @param {Method} [method]
   * @param {{ symmetries?: number, maxSide?: number | null }} [options]
   * @returns {Promise<Rendering>}
   */
  render(method = "mmse", options = {}) {
    return this.#inTurn(async () => {
      const { chain, header, after } = await this.#newest();
      const picture = await rendered(chain, after, { ...options, method });
      const bytes = this.bytesReceived;
      const bpp = (8 * bytes) / (header.width * header.height);
      const predictedPsnr = decibel(after.expected.error);
      const predictedPsnrRange = range(after.expected);
      return { ...picture, method, bytes, bpp, predictedPsnr, predictedPsnrRange };
    });
  }

  /**
   * Return the noisy observation itself as a picture, its pixels enlarged.
   *
   * @returns {Promise<Picture>}
   */
  observation() {
    return this.#inTurn(async () => {
      const { chain, after } = await this.#newest();
      return observed(chain, after);
    });
  }

  /**
   * @template T
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  #inTurn(task) {
    const result = this.#turn.then(task);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** @param {Uint8Array} data */
  async #take(data) {
    for (const event of this.#reader.feed(data)) {
      if (event.type === "header") this.#begin(event.header);
      else if (event.type === "check") this.damage += Number(!event.good);
      else if (event.type === "step") this.#start(event.step);
      else if (event.type === "payload") await this.#grow(event.data);
    }
  }

  /** @param {Header} header */
  #begin(header) {
    const model = this.#models.get(header.model);
    if (!model) throw new UnknownModel(header.model);
    this.#chain = begun(header, model.denoiser, this.#mostPixels);
  }

  /** @param {Step} step */
  #start(step) {
    this.#chain?.admit(step, this.#reader.offset);
    allowance.check(this.#work, this.#reader.offset);
    this.#work += this.#chain?.cost ?? 0;
    this.#step = step;
    this.#payload = new Uint8Array(step.length);
    this.#arrived = 0;
  }

  /** @param {Uint8Array} data */
  async #grow(data) {
    this.#payload.set(data, this.#arrived);
    this.#arrived += data.length;
    if (!this.#chain || !this.#step || this.#arrived < this.#step.length) return;
    this.#chain = await this.#chain.advanced(this.#step, this.#payload);
    this.#step = null;
    this.#arrived = 0;
  }

  /** Return the state with the part of the present step that has arrived. */
  async #newest() {
    const [chain, header] = [this.#chain, this.header];
    if (!chain || !header) {
      throw new NothingDecodable("nothing can be decoded yet: the stream has just begun");
    }
    if (!this.ready) {
      throw new NothingDecodable("nothing can be decoded yet: no record has arrived");
    }
    /** @type {After} */
    const after =
      this.#step && this.#arrived
        ? await chain.after(this.#step, this.#payload.subarray(0, this.#arrived))
        : chain.now();
    return { chain, header, after };
  }
}
