/**
 * What both ends know of all pictures of a clip.
 *
 * Every picture has a chain of observations of its own, so that a step is what it is for single
 * pictures.  What ties them together are second estimates: at any place of the stream, a picture can be
 * guessed from what its neighbours have come to.
 *
 * @module
 */

import { Chain } from "../codec/chain.js";
import { understood } from "../codec/held.js";
import { sources } from "../container/clip.js";
import { Motion } from "../diffusion/motion.js";
import { area, means } from "../diffusion/octaves.js";
import { ReferencePicture } from "../diffusion/reference.js";
import { Trust } from "../diffusion/trust.js";
import { CorruptStream, PictureTooLarge } from "../errors.js";
import { remembering } from "./remembering.js";

/** @typedef {import("../codec/estimator.js").Denoiser} Denoiser */
/** @typedef {import("../container/clip.js").Clip} Clip */
/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/grammar.js").Step} Step */

/** Pixels of all pictures of a clip together: each takes some hundred bytes of memory. */
export const MOST_PIXELS = 2 ** 23;
/** Making a second estimate counts as evaluating a picture this many times smaller. */
const SECOND_COST = 4;

/** The chains of all pictures of a clip. */
export class Group {
  #sources;
  /** Pixels evaluated for steps. */
  #evaluated = 0;
  /** How each picture has moved since its sources. @type {[Motion, Motion][]} */
  #motions;

  /**
   * Throws PictureTooLarge beyond `mostPixels` in all.
   *
   * @param {Header} header
   * @param {Clip} clip  that of the header
   * @param {Denoiser} denoiser
   * @param {number} [mostPixels]
   */
  constructor(header, clip, denoiser, mostPixels = MOST_PIXELS) {
    const { width, height, seed } = header;
    const { pictures } = clip;
    const pixels = width * height * pictures;
    if (pixels > mostPixels) {
      throw new PictureTooLarge(
        `${pictures} pictures of ${width}x${height} have ${pixels.toLocaleString("en")} pixels, ` +
          `more than the limit of ${mostPixels.toLocaleString("en")} for a clip`,
      );
    }
    this.#sources = sources(clip);
    this.chains = Array.from({ length: pictures }, (_, number) =>
      Chain.beginning(remembering(denoiser), { ...header, seed: (seed + number) % 2 ** 32 }),
    );
    const still = Motion.still(this.chains[0].sizes);
    this.#motions = Array.from({ length: pictures }, () => [still, still]);
    /** Second estimates of each picture so far. */
    this.made = new Array(pictures).fill(0);
  }

  /** Pixels evaluated so far, and what counts as that. */
  get work() {
    const seconds = this.made.reduce((sum, made) => sum + made, 0);
    return this.#evaluated + Math.floor((seconds * area(this.chains[0].sizes[0])) / SECOND_COST);
  }

  /** Return whether anything is known of a picture. @param {number} number */
  begun(number) {
    const { steps, reference } = this.chains[number];
    return steps > 0 || reference !== null;
  }

  /**
   * Return the picture to show for a picture: itself, or the nearest that has begun; null if none has.
   *
   * @param {number} number
   */
  nearest(number) {
    for (let away = 0; away < this.chains.length; away++) {
      for (const other of [number - away, number + away]) {
        if (other >= 0 && other < this.chains.length && this.begun(other)) return other;
      }
    }
    return null;
  }

  /**
   * Execute a step of a picture whose whole payload has arrived.
   *
   * @param {number} number
   * @param {Step} step
   * @param {Uint8Array} payload
   */
  async advance(number, step, payload) {
    const chain = this.chains[number];
    const after = await chain.advanced(step, payload);
    this.#evaluated += chain.cost;
    this.chains[number] = after;
  }

  /**
   * Take another motion of a picture.  Throws CorruptStream if it makes no sense.
   *
   * @param {number} number
   * @param {import("../container/clip.js").Motion} motion
   */
  moves(number, { source, vectors }) {
    this.#source(number, source);
    const parsed = understood(() => Motion.parse(vectors, this.chains[number].sizes));
    const [earlier, later] = this.#motions[number];
    this.#motions[number] = source ? [earlier, parsed] : [parsed, later];
  }

  /**
   * Take another second estimate of a picture.
   *
   * Rejects with CorruptStream if nothing is known of its sources, or if what the stream says of it
   * makes no sense.
   *
   * @param {number} number
   * @param {import("../container/clip.js").Second} second
   */
  async second(number, second) {
    const { sizes } = this.chains[number];
    const octaves = [await this.#seen(number, second)];
    const trust = understood(() => Trust.parse(second.trust, sizes));
    for (const size of sizes.slice(0, -1)) octaves.push(means(octaves[octaves.length - 1], size));
    this.chains[number] = this.chains[number].seconded(new ReferencePicture(octaves, trust));
    this.made[number] += 1;
  }

  /**
   * Return the mean of a picture's sources, each moved by its motion.
   *
   * @param {number} number
   * @param {{ earlier: boolean, later: boolean }} used
   */
  async #seen(number, { earlier, later }) {
    const size = this.chains[number].sizes[0];
    const both = [];
    for (const [place, used] of [earlier, later].entries()) {
      if (!used) continue;
      const guess = await this.chains[this.#source(number, place)].guess();
      both.push(this.#motions[number][place].moved(guess, size));
    }
    const [one, other] = both;
    return other ? one.map((value, i) => (value + other[i]) * 0.5) : one;
  }

  /**
   * Return a picture's earlier (0) or later (1) source.  Throws CorruptStream if there is none, or if
   * nothing is known of it.
   *
   * @param {number} number
   * @param {number} place
   */
  #source(number, place) {
    const source = this.#sources.get(number)?.[place] ?? null;
    if (source === null || !this.begun(source)) {
      throw new CorruptStream(`picture ${number} starts from one that is not there`, 0);
    }
    return source;
  }
}
