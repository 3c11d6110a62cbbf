/**
 * The noisy observation of the image that sender and receiver share.
 *
 *     eta = snr * x + sqrt(snr) * n,    n ~ N(0, I)
 *
 * is everything known about x.  At snr 0 nothing is known and eta = 0.  These are the convenient
 * coordinates because independent observations of one x simply add.
 *
 * One refinement adds a new observation of signal-to-noise ratio delta.  Let x_hat be the posterior
 * mean, known to both ends; then
 *
 *     eta <- eta + delta * x_hat + sqrt(delta) * y,    snr <- snr + delta
 *
 * where y is the sample that reverse channel coding brought across.
 *
 * Opening an octave keeps the signal-to-noise ratio and adds dimensions: a coarse octave observed
 * at snr is the low band of the finer one observed at snr / 4, and the three detail bands are
 * brought from nothing to exactly the same.
 *
 * @module
 */

import { dimensions, synthesis } from "./octaves.js";

/** @typedef {import("./octaves.js").Size} Size */

/** What is known of octave `octave`: `eta`, planes of `size`, at `snr` >= 0.  Never changed. */
export class Observation {
  /**
   * @param {Float32Array} eta
   * @param {Size} size
   * @param {number} snr
   * @param {number} octave
   */
  constructor(eta, size, snr, octave) {
    this.eta = eta;
    this.size = size;
    this.snr = snr;
    this.octave = octave;
  }

  /**
   * Return the observation that holds no information, of an octave of `size`.
   *
   * @param {Size} size
   * @param {number} octave
   */
  static nothing(size, octave) {
    return new Observation(new Float32Array(dimensions(size)), size, 0, octave);
  }

  /** Return the variance-preserving form alpha x + sigma n. */
  z() {
    return variancePreserving(this.eta, this.snr);
  }

  /**
   * Add an observation of signal-to-noise ratio `delta`.
   *
   * `xHat` is the posterior mean, `y` the sample around it.  If only the fraction `received` of a
   * rotated y is there, with zeros for the rest, the observation gains that fraction of delta.
   *
   * @param {Float32Array} xHat
   * @param {Float32Array} y
   * @param {number} delta
   * @param {number} [received]
   */
  refined(xHat, y, delta, received = 1) {
    const gained = received * delta;
    const root = Math.sqrt(delta);
    const eta = this.eta.map((value, i) => value + gained * xHat[i] + root * y[i]);
    return new Observation(eta, this.size, this.snr + gained, this.octave);
  }

  /**
   * Add the detail of the next finer octave, of `size`.
   *
   * `bands` is the prediction of the detail bands and `y` the sample around it; without one, the
   * detail lies at its prediction.
   *
   * @param {Float32Array} bands
   * @param {Float32Array | null} y
   * @param {Size} size
   */
  opened(bands, y, size) {
    const snr = this.snr / 4;
    const root = Math.sqrt(snr);
    const detail = bands.map((value, i) => snr * value + (y ? root * y[i] : 0));
    const low = this.eta.map((value) => value / 2);
    return new Observation(synthesis(low, detail, size), size, snr, this.octave - 1);
  }
}

/**
 * Return z = eta * sigma / sqrt(snr) with sigma^2 = 1 / (1 + snr); zeros at snr 0.
 *
 * @param {Float32Array} eta
 * @param {number} snr
 */
export function variancePreserving(eta, snr) {
  const factor = snr ? Math.fround(1 / Math.sqrt(snr * (1 + snr))) : 0;
  return eta.map((value) => factor * value);
}
