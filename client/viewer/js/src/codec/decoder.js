/**
 * Decodes a stream, or the part of it that has arrived, into pictures.
 *
 * @module
 */

import { StreamReader } from "../container/reader.js";
import { NothingDecodable, UnknownModel } from "../errors.js";
import * as allowance from "./allowance.js";
import { MOST_PIXELS, chain, checkSingle, checkSize, referenceOf } from "./beginning.js";
import { decibel, range } from "./forecast.js";
import { observed, rendered } from "./rendering.js";

/** @typedef {import("./after.js").After} After */
/** @typedef {import("./beginning.js").References} References */
/** @typedef {import("./chain.js").Chain} Chain */
/** @typedef {import("./estimator.js").Denoiser} Denoiser */
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

/**
 * The available models, by fingerprint.
 *
 * @typedef {{ get(fingerprint: string): Model | undefined | Promise<Model | undefined> }} Models
 */

/**
 * Decode a stream fed in pieces of any size.
 *
 * `models` are the available models, by fingerprint, of which the stream names one.  Feeding
 * executes the complete steps, with one evaluation of the denoiser each; rendering takes one or two
 * more (for flow and ancestral, several).  `references` finds the pictures that streams start from,
 * as references() of references.js does; without it those streams are refused.  Calls may overlap; they are carried out in their order.
 */
export class Decoder {
  #models;
  #mostPixels;
  #references;
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
   * @param {Models} models
   * @param {{ damaged?: boolean, mostPixels?: number, references?: References | null }} [options]
   */
  constructor(models, { damaged = false, mostPixels = MOST_PIXELS, references = null } = {}) {
    this.#models = models;
    this.#references = references;
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
    const chain = this.#chain;
    return chain !== null && (chain.reference !== null || chain.steps > 0 || this.#arrived > 0);
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
   * Rejects with StreamError if they are not a valid stream, NotAClip for one of several pictures,
   * UnknownModel if the stream's model is
   * not available, PictureTooLarge beyond `mostPixels`, MissingReference if it starts from a picture
   * that is not here.
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
      if (event.type === "header") await this.#begin(event.header);
      else if (event.type === "check") this.damage += Number(!event.good);
      else if (event.type === "step") this.#start(event.step);
      else if (event.type === "payload") await this.#grow(event.data);
    }
  }

  /** @param {Header} header */
  async #begin(header) {
    checkSingle(header);
    checkSize(header, this.#mostPixels);
    const model = await this.#models.get(header.model);
    if (!model) throw new UnknownModel(header.model);
    const reference = await referenceOf(header, this.#references);
    this.#chain = chain(header, model.denoiser, reference);
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
