/**
 * A picture that both ends hold, as a second estimate beside the denoiser's.
 *
 * What a reference tells of a picture is combined with what the stream tells by inverse variances,
 * for each scale of the Haar transform and each cell (trust.js): where the reference is right, the
 * error of the estimate is small from the start.  Where it is wrong it has no weight, and everything
 * is as without it.  The denoiser never sees it.
 *
 * @module
 */

import * as octaves from "./octaves.js";

/** @typedef {import("./observation.js").Observation} Observation */
/** @typedef {import("./octaves.js").Size} Size */
/** @typedef {import("./trust.js").Trust} Trust */

/**
 * A picture, 8-bit sRGB: RGBA, row after row, opaque.
 *
 * @typedef {{ pixels: Uint8ClampedArray | Uint8Array, height: number, width: number }} Picture
 */

/** A reference, fitted to the octaves of a picture. */
export class ReferencePicture {
  #octaves;
  #low;
  #sizes;

  /**
   * Take what fitted() returns, and how far it is trusted.
   *
   * @param {(Float32Array | null)[]} fitted
   * @param {Trust} trust
   */
  constructor(fitted, trust) {
    this.trust = trust;
    this.#octaves = fitted;
    this.#low = /** @type {Float32Array} */ (fitted[fitted.length - 1]);
    this.#sizes = trust.sizes;
  }

  /**
   * Return an estimate of the coarsest octave, combined with the reference.
   *
   * @param {Float32Array} xHat  the denoiser's, or zeros before anything is observed
   * @param {Observation} observation
   */
  corrected(xHat, { snr }) {
    return mixed(xHat, this.#low, this.trust.weight(this.#sizes.length - 1, snr));
  }

  /**
   * Join estimates of two octaves as Observation.joined() does, with the reference.
   *
   * `coarse` contains what the reference tells of the coarser scales; where that is trusted, the
   * fine estimate has nothing to say about them.
   *
   * @param {Observation} observation
   * @param {Float32Array} fine
   * @param {Float32Array} coarse
   */
  joined(observation, fine, coarse) {
    const { octave, size, snr, field } = observation;
    const weight = this.trust.weight(octave, snr * field.share);
    const xHat = observation.joined(fine, coarse, weight);
    if (!weight || !this.#octaves[octave]) return xHat;
    const low = octaves.means(xHat, size).map((value) => 2 * value);
    const bands = this.#combined(octaves.details(xHat, size), octave, weight);
    return octaves.synthesis(low, bands, size);
  }

  /**
   * Return the detail to expect in `octave` before any is observed, as `bands` is.
   *
   * @param {Float32Array} bands
   * @param {number} octave
   */
  foreseen(bands, octave) {
    return this.#combined(bands, octave, this.trust.weight(octave, 0));
  }

  /**
   * Enlarge an estimate to `octave`, the next finer one.
   *
   * @param {Float32Array} x
   * @param {number} octave
   */
  enlarged(x, octave) {
    const size = this.#sizes[octave];
    const wide = octaves.upsampled(x, this.#sizes[octave + 1], size);
    const bands = this.foreseen(octaves.details(wide, size), octave);
    return octaves.synthesis(
      x.map((value) => 2 * value),
      bands,
      size,
    );
  }

  /**
   * @param {Float32Array} bands
   * @param {number} octave
   * @param {Float32Array | null} weight
   */
  #combined(bands, octave, weight) {
    const reference = this.#octaves[octave];
    if (!reference || !weight) return bands;
    return mixed(bands, octaves.details(reference, this.#sizes[octave]), weight);
  }
}

/**
 * Return what is `known`, with as much `weight` of a reference at each place of each plane.
 *
 * @param {Float32Array} known
 * @param {Float32Array} reference
 * @param {Float32Array | null} weight null is none
 */
function mixed(known, reference, weight) {
  if (!weight) return known;
  const result = new Float32Array(known.length);
  for (let first = 0; first < known.length; first += weight.length) {
    for (let i = 0; i < weight.length; i++) {
      const value = known[first + i];
      result[first + i] = value + weight[i] * (reference[first + i] - value);
    }
  }
  return result;
}

/**
 * Return the octaves of a reference, finest first: null for those finer than itself.
 *
 * `sizes` are those of the octaves of the picture that it describes.  It is moved by `shift` pixels,
 * down and to the right, while its borders repeat, and loses `cut` rows and columns at the bottom and
 * the right; then it is reduced to the finest octave that is not larger, by the means of areas.
 * Throws RangeError if it is smaller than the coarsest octave.
 *
 * @param {Picture} picture
 * @param {Size[]} sizes
 * @param {readonly [number, number]} [shift]
 * @param {readonly [number, number]} [cut]
 * @returns {(Float32Array | null)[]}
 */
export function fitted(picture, sizes, shift = [0, 0], cut = [0, 0]) {
  const height = Math.max(0, picture.height - cut[0]);
  const width = Math.max(0, picture.width - cut[1]);
  const first = sizes.findIndex((size) => size.height <= height && size.width <= width);
  if (first < 0) {
    throw new RangeError(`a reference of ${width}x${height} pixels is too small for this picture`);
  }
  const size = sizes[first];
  /** @type {Float32Array} */
  let x = signal(picture, shift, { height, width });
  x = reduced(x, octaves.CHANNELS, height, size.height, width);
  x = reduced(x, octaves.CHANNELS * size.height, width, size.width, 1);
  /** @type {(Float32Array | null)[]} */
  const result = Array.from({ length: first }, () => null);
  result.push(x);
  for (const finer of sizes.slice(first, -1)) result.push((x = octaves.means(x, finer)));
  return result;
}

/**
 * Return the signal of a picture that has moved, in planes of `size`.
 *
 * @param {Picture} picture
 * @param {readonly [number, number]} shift
 * @param {Size} size
 */
function signal({ pixels, ...whole }, [down, right], { height, width }) {
  const plane = height * width;
  const result = new Float32Array(octaves.CHANNELS * plane);
  const levels = Float32Array.from({ length: 256 }, (_, value) => value * Math.fround(4 / 255));
  for (let row = 0, place = 0; row < height; row++) {
    const line = within(row - down, whole.height) * whole.width;
    for (let column = 0; column < width; column++, place++) {
      const from = 4 * (line + within(column - right, whole.width));
      for (let channel = 0; channel < octaves.CHANNELS; channel++) {
        result[channel * plane + place] = levels[pixels[from + channel]] - 2;
      }
    }
  }
  return result;
}

/** Return the nearest place of a line of `count`. @param {number} place @param {number} count */
function within(place, count) {
  return Math.min(Math.max(place, 0), count - 1);
}

/**
 * Reduce lines of `before` values to `size`, each the mean of an interval of the values before.
 *
 * There are `blocks` of lines, one after the other; in each, `step` lines lie side by side, so that a
 * line's values are `step` apart.
 *
 * @param {Float32Array} x
 * @param {number} blocks
 * @param {number} before
 * @param {number} size
 * @param {number} step
 */
function reduced(x, blocks, before, size, step) {
  if (before === size) return x;
  const result = new Float32Array(blocks * size * step);
  const sums = new Float64Array(before + 1);
  for (let block = 0; block < blocks; block++) {
    for (let beside = 0; beside < step; beside++) {
      const first = block * before * step + beside;
      for (let i = 0; i < before; i++) sums[i + 1] = sums[i] + x[first + i * step];
      let past = 0;
      for (let i = 0; i < size; i++) {
        const end = (i + 1) * (before / size);
        const whole = Math.min(Math.floor(end), before - 1);
        const integral = sums[whole] + (end - whole) * x[first + whole * step];
        result[(block * size + i) * step + beside] = (integral - past) * (size / before);
        past = integral;
      }
    }
  }
  return result;
}
