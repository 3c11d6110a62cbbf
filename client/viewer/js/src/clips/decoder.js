/**
 * Decodes a stream of several pictures, or the part of it that has arrived.
 *
 * @module
 */

import * as allowance from "../codec/allowance.js";
import { decibel } from "../codec/forecast.js";
import { rendered } from "../codec/rendering.js";
import { StreamReader } from "../container/reader.js";
import { NotAClip, NothingDecodable, UnknownModel } from "../errors.js";
import { Group, MOST_PIXELS } from "./group.js";

/** @typedef {import("../codec/after.js").After} After */
/** @typedef {import("../codec/decoder.js").Models} Models */
/** @typedef {import("../codec/rendering.js").Picture} Picture */
/** @typedef {import("../container/clip.js").Clip} Clip */
/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/grammar.js").Step} Step */

const NOTHING = "nothing can be decoded yet: ";

/**
 * Decode a stream of several pictures that is fed in pieces of any size.
 *
 * `models` are the available models, by fingerprint, of which the stream names one.  Feeding executes
 * the complete steps, with one evaluation of the denoiser each; rendering takes one or two more.  With
 * `damaged`, failed checks are counted in `damage` instead of being errors.  Calls may overlap; they are
 * carried out in their order.
 */
export class ClipDecoder {
  #models;
  #mostPixels;
  #reader;
  /** @type {Group | null} */
  #group = null;
  #picture = 0;
  /** @type {Step | null} */
  #step = null;
  #payload = new Uint8Array(0);
  #arrived = 0;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  /** How many checks have failed; only with `damaged`, else the first failure is an error. */
  damage = 0;

  /**
   * @param {Models} models
   * @param {{ damaged?: boolean, mostPixels?: number }} [options] `mostPixels` of all pictures together
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

  /** How many steps were executed so far, of all pictures. */
  get steps() {
    return this.#group?.chains.reduce((sum, { steps }) => sum + steps, 0) ?? 0;
  }

  /** Denoiser evaluations so far, in units of one of a whole picture, renderings included. */
  get evaluations() {
    return this.#group?.chains.reduce((sum, { evaluations }) => sum + evaluations, 0) ?? 0;
  }

  /** Whether enough has arrived for a picture. */
  get ready() {
    return this.#group !== null && (this.#group.nearest(0) !== null || this.#part(this.#picture));
  }

  /** How many pictures the clip has; 0 before the header has arrived. */
  get length() {
    return this.#group?.chains.length ?? 0;
  }

  /** How long each picture is shown, in milliseconds.  Throws NothingDecodable before the header. */
  get milliseconds() {
    const clip = this.header?.clip;
    if (!clip) throw new NothingDecodable(`${NOTHING}the stream has just begun`);
    return clip.milliseconds;
  }

  /**
   * Take more bytes of the stream.
   *
   * Rejects with StreamError if they are not a valid stream, NotAClip for the stream of a single
   * picture, UnknownModel if the stream's model is not available, PictureTooLarge beyond `mostPixels`
   * in all.
   *
   * @param {Uint8Array} data
   * @returns {Promise<void>}
   */
  feed(data) {
    const own = data.slice();
    return this.#inTurn(() => this.#take(own));
  }

  /**
   * Return a picture as far as it is known; `maxSide` halves it until its longer side fits.
   *
   * If nothing is known of it, it is the nearest of which something is.  Rejects with NothingDecodable
   * before the first step, RangeError if there is no such picture.
   *
   * @param {number} number
   * @param {{ maxSide?: number | null }} [options]
   * @returns {Promise<Picture>}
   */
  render(number, { maxSide = null } = {}) {
    return this.#inTurn(async () => {
      const group = this.#ready();
      if (!(Number.isInteger(number) && number >= 0 && number < this.length)) {
        throw new RangeError(`picture ${number} of ${this.length}`);
      }
      const shown = /** @type {number} */ (this.#shown(number));
      return rendered(group.chains[shown], await this.#newest(group, shown), { maxSide });
    });
  }

  /**
   * Return which picture render() shows for a picture, and a text that changes when it becomes better
   * known; null before the first step.
   *
   * @param {number} number
   * @returns {{ shown: number, state: string } | null}
   */
  known(number) {
    const group = this.#group;
    const shown = this.#shown(number);
    if (!group || shown === null) return null;
    const part = this.#part(shown) ? this.#arrived : 0;
    return { shown, state: [shown, group.chains[shown].steps, group.made[shown], part].join() };
  }

  /**
   * Return the mean of the expected PSNR of all pictures of which something is known, in dB.
   *
   * Rejects with NothingDecodable before the first step.
   *
   * @returns {Promise<number>}
   */
  predictedPsnr() {
    return this.#inTurn(async () => {
      const group = this.#ready();
      let [sum, count] = [0, 0];
      for (let number = 0; number < this.length; number++) {
        if (!group.begun(number) && !this.#part(number)) continue;
        sum += decibel((await this.#newest(group, number)).expected.error);
        count += 1;
      }
      return sum / count;
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

  /** Return the pictures, if there is anything to show of them. */
  #ready() {
    const group = this.#group;
    if (!group) throw new NothingDecodable(`${NOTHING}the stream has just begun`);
    if (!this.ready) throw new NothingDecodable(`${NOTHING}no record has arrived`);
    return group;
  }

  /** @param {Uint8Array} data */
  async #take(data) {
    for (const event of this.#reader.feed(data)) {
      if (event.type === "header") await this.#begin(event.header);
      else if (event.type === "check") this.damage += Number(!event.good);
      else if (event.type === "payload") await this.#grow(event.data);
      else if (this.#group) await this.#follow(this.#group, event);
    }
  }

  /**
   * @param {Group} group
   * @param {import("../container/reader.js").Event} event
   */
  async #follow(group, event) {
    const { offset } = this.#reader;
    if (event.type === "turn") this.#picture = event.picture;
    else if (event.type === "motion") group.moves(this.#picture, event);
    else if (event.type === "second") {
      allowance.check(group.work, offset);
      await group.second(this.#picture, event);
    } else if (event.type === "step") {
      group.chains[this.#picture].admit(event.step, offset);
      allowance.check(group.work, offset);
      this.#step = event.step;
      this.#payload = new Uint8Array(event.step.length);
      this.#arrived = 0;
    }
  }

  /** @param {Header} header */
  async #begin(header) {
    const { clip } = header;
    if (!clip) throw new NotAClip("the stream has a single picture");
    const model = await this.#models.get(header.model);
    if (!model) throw new UnknownModel(header.model);
    this.#group = new Group(header, clip, model.denoiser, this.#mostPixels);
  }

  /** @param {Uint8Array} data */
  async #grow(data) {
    this.#payload.set(data, this.#arrived);
    this.#arrived += data.length;
    if (!this.#group || !this.#step || this.#arrived < this.#step.length) return;
    await this.#group.advance(this.#picture, this.#step, this.#payload);
    this.#step = null;
    this.#arrived = 0;
  }

  /** Return whether a part of a step of that picture has arrived. @param {number} number */
  #part(number) {
    return this.#step !== null && number === this.#picture && this.#arrived > 0;
  }

  /** Return which picture to show for a picture; null if nothing is known of any. @param {number} number */
  #shown(number) {
    if (!this.#group || !this.ready) return null;
    const begun = this.#group.nearest(number);
    if (!this.#part(this.#picture)) return begun;
    const away = Math.abs(this.#picture - number);
    return begun === null || away < Math.abs(begun - number) ? this.#picture : begun;
  }

  /**
   * Return the state of a picture with the part of its present step that has arrived.
   *
   * @param {Group} group
   * @param {number} number
   * @returns {Promise<After>}
   */
  async #newest(group, number) {
    const chain = group.chains[number];
    if (!this.#step || !this.#part(number)) return chain.now();
    return chain.after(this.#step, this.#payload.subarray(0, this.#arrived));
  }
}
