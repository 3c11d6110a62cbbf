/**
 * The noisy observation of the image that sender and receiver share.
 *
 *     eta = P x + P^(1/2) n,    n ~ N(0, I)
 *
 * is all that is known about x.  P is diagonal in the Haar transform of the octave observed, with
 * the precisions of a field (field.js); white noise, P = snr I, needs no transform.  Where P is 0,
 * nothing is known and eta = 0.  These coordinates are convenient because independent observations
 * of the same x add up.
 *
 * One refinement adds a new observation of precision D = delta / snr P.  Let x_hat be the posterior
 * mean, known to both ends; then
 *
 *     eta <- eta + D x_hat + D^(1/2) y,    snr <- snr + delta
 *
 * where y is the sample that reverse channel coding transmitted.
 *
 * Opening an octave keeps what is known and adds dimensions.  The values of a coarse octave are
 * half of the finer one's low band, and so are observed there at a quarter of the precision; the
 * three detail bands go from precision 0 to that of the field.
 *
 * @module
 */

import { WHITE, coefficients, precisions, transformed, untransformed } from "./field.js";
import { coarser, detailDimensions, details, dimensions, means, synthesis } from "./octaves.js";

/** @typedef {import("./field.js").Field} Field */
/** @typedef {import("./octaves.js").Size} Size */

/**
 * Maps the noisy picture u at some snr to the same with a part of it restored.
 *
 * @typedef {(u: Float32Array, snr: number) => Float32Array} Held
 */

/**
 * The observation of octave `octave`, of `size`, at `snr` >= 0 and with the precisions of `field`.
 *
 * `bands` are eta: detail, the finest first, and the low band.  With white noise nothing is
 * transformed, and the low band is the octave itself.  Immutable.
 */
export class Observation {
  /** @type {Float32Array | null} */
  #eta = null;

  /**
   * `origin` is the observation it was opened from, as long as no more is known of coarser octaves.
   *
   * @param {Float32Array[]} bands
   * @param {Size} size
   * @param {number} snr
   * @param {number} octave
   * @param {Field} [field]
   * @param {Observation | null} [origin]
   */
  constructor(bands, size, snr, octave, field = WHITE, origin = null) {
    this.bands = bands;
    this.size = size;
    this.snr = snr;
    this.octave = octave;
    this.field = field;
    this.origin = origin;
  }

  /**
   * Return the observation that holds no information, of an octave of `size`.
   *
   * @param {Size} size
   * @param {number} octave
   * @param {Field} [field]
   */
  static nothing(size, octave, field = WHITE) {
    return new Observation([new Float32Array(dimensions(size))], size, 0, octave, field);
  }

  /**
   * snr times the noisy picture, in planes of `size`; for white noise it is eta itself.
   *
   * Finest detail that is known to a share is scaled by that share.
   */
  get eta() {
    if (this.white) return this.bands[0];
    if (!this.#eta) {
      const whole = precisions({ ...this.field, share: 1 }, this.#scales);
      const scaled = this.bands.map((band, i) => band.map((value) => value / whole[i]));
      this.#eta = untransformed(scaled, this.size);
    }
    return this.#eta;
  }

  /** Whether the noise is white. */
  get white() {
    return this.field.ratio === 1;
  }

  /** Bytes of memory that it takes. */
  get bytes() {
    return this.bands.reduce((sum, band) => sum + band.byteLength, this.#eta?.byteLength ?? 0);
  }

  /** The number of values of a refinement. */
  get dimensions() {
    return coefficients(this.size, this.#scales);
  }

  /** The snr at which the next finer octave is observed when it opens. */
  get openedSnr() {
    return openedSnr(this.snr, this.field.ratio);
  }

  /** Return the variance-preserving form alpha x + sigma n. */
  z() {
    return variancePreserving(this.eta, this.snr);
  }

  /**
   * Add an observation of signal-to-noise ratio `delta`.
   *
   * `xHat` is the posterior mean, `y` the sample around it, with the low band last.  If only the
   * fraction `received` of a rotated y has arrived, with zeros for the rest, the observation gains
   * that fraction of delta.  Finest detail of which only a share was known gains as much as if all of
   * it had been.
   *
   * @param {Float32Array} xHat
   * @param {Float32Array} y
   * @param {number} delta
   * @param {number} [received]
   */
  refined(xHat, y, delta, received = 1) {
    const known = transformed(xHat, this.size, this.#scales);
    const relative = precisions({ ...this.field, share: 1 }, this.#scales);
    let first = 0;
    const bands = this.bands.map((band, i) => {
      const gained = received * delta * relative[i];
      const root = Math.sqrt(delta * relative[i]);
      const start = first;
      first += band.length;
      return band.map((value, j) => value + gained * known[i][j] + root * y[start + j]);
    });
    const snr = this.snr + received * delta;
    const { ratio, share } = this.field;
    const more = share < 1 && snr ? (share * this.snr + received * delta) / snr : share;
    return new Observation(bands, this.size, snr, this.octave, { ratio, share: more });
  }

  /**
   * Add the detail of the next finer octave, of `size`.
   *
   * `bands` is the prediction of the detail bands and `y` the sample around it, null for none.  If
   * only the fraction `received` of a rotated y has arrived, the detail gets that share of its
   * precision.  White noise cannot express a share: there the rest is the prediction without noise.
   * `sent` is the snr of y, another than openedSnr if parts of earlier steps are lost.
   *
   * @param {Float32Array} bands
   * @param {Float32Array | null} y
   * @param {Size} size
   * @param {number} received
   * @param {number} [sent]
   */
  opened(bands, y, size, received, sent = this.openedSnr) {
    const snr = this.openedSnr;
    let share = this.white ? 1 : received;
    let root = Math.sqrt(snr);
    if (sent !== snr) {
      share = Math.min(1, (share * sent) / snr);
      root = (share * snr) / Math.sqrt(sent) / (this.white ? 1 : received);
    }
    const detail = bands.map((value, i) => share * snr * value + (y ? root * y[i] : 0));
    return this.#finer(detail, size, share);
  }

  /**
   * Open the next finer octave, of `size`, without any knowledge of its detail.
   *
   * This takes shaped noise, which can have precision 0 for the detail.
   *
   * @param {Size} size
   */
  widened(size) {
    return this.#finer(new Float32Array(detailDimensions(size)), size, 0);
  }

  /**
   * @param {Float32Array} detail
   * @param {Size} size
   * @param {number} share
   */
  #finer(detail, size, share) {
    const half = this.bands.map((band) => band.map((value) => value / 2));
    const field = { ...this.field, share };
    const octave = this.octave - 1;
    const snr = this.openedSnr;
    return this.white
      ? new Observation([synthesis(half[0], detail, size)], size, snr, octave, field)
      : new Observation([detail, ...half], size, snr, octave, field, this);
  }

  /**
   * Return the observation of the next coarser octave; null if noise is white or there is none.
   *
   * White noise does not keep the octaves apart.
   */
  coarser() {
    if (this.white || !this.#scales) return null;
    if (this.origin) return this.origin;
    const { ratio } = this.field;
    const bands = this.bands.slice(1).map((band) => band.map((value) => 2 * value));
    const snr = this.snr / openedSnr(1, ratio);
    return new Observation(bands, coarser(this.size), snr, this.octave + 1, { ratio, share: 1 });
  }

  /**
   * Combine two estimates: one of this octave, and one of the next coarser octave.
   *
   * Detail is that of the fine one.  Means are those of the coarse one while no detail is observed,
   * and two thirds of it when all is: the errors of the two estimates differ, and averaging reduces
   * them (docs/decisions/0029).  `trusted`, for each place of the coarse octave, says how far the
   * coarse one knows more than both, 0 to 1.
   *
   * @param {Float32Array} fine
   * @param {Float32Array} coarse
   * @param {Float32Array | null} [trusted]
   */
  joined(fine, coarse, trusted = null) {
    const share = this.field.share / 3;
    const low = means(fine, this.size).map((value, i) => {
      const own = trusted ? share * (1 - trusted[i % trusted.length]) : share;
      return 2 * (own * value + (1 - own) * coarse[i]);
    });
    return synthesis(low, details(fine, this.size), this.size);
  }

  /**
   * Follow the probability flow to `snr` and `share`, neither less than now.
   *
   * `ahead` is the posterior mean on the way.  The distance of the noisy picture u = eta / P from
   * it shrinks with the noise: du / d ln s = u - x_hat for each coefficient, where s is the
   * standard deviation of its noise.  Then `held`, if given, restores the part that stays.
   *
   * @param {Float32Array} ahead
   * @param {number} snr
   * @param {number} share
   * @param {Held | null} held
   */
  moved(ahead, snr, share, held) {
    const known = transformed(ahead, this.size, this.#scales);
    const relative = precisions(this.field, this.#scales);
    const bands = this.bands.map((band, i) => {
      const more = i === 0 ? share / this.field.share : 1;
      const keep = Math.exp(-0.5 * Math.log((snr / this.snr) * more));
      const [before, after] = [this.snr * relative[i], snr * more * relative[i]];
      const u = band.map((value, j) => keep * (value / before) + (1 - keep) * known[i][j]);
      return (held ? held(u, snr) : u).map((value) => value * after);
    });
    const origin = snr === this.snr ? this.origin : null;
    const field = { ...this.field, share };
    return new Observation(bands, this.size, snr, this.octave, field, origin);
  }

  /**
   * Observe a `share` of the finest detail, which was unknown.
   *
   * `bands` is the expected detail, and `noise` is in units of the observation's.
   *
   * @param {Float32Array} bands
   * @param {Float32Array} noise
   * @param {number} share
   */
  begun(bands, noise, share) {
    const snr = share * this.snr;
    const root = Math.sqrt(snr);
    const detail = bands.map((value, i) => snr * value + root * noise[i]);
    const all = [detail, ...this.bands.slice(1)];
    const field = { ...this.field, share };
    return new Observation(all, this.size, this.snr, this.octave, field, this.origin);
  }

  get #scales() {
    return this.bands.length - 1;
  }
}

/**
 * Return the snr of an octave that opens when the next coarser one is observed at `snr`.
 *
 * @param {number} snr
 * @param {number} ratio
 */
export function openedSnr(snr, ratio) {
  return (snr * ratio) / 4;
}

/**
 * Return the number of values of a refinement of `octave`, for a picture with octaves of `sizes`.
 *
 * @param {Size[]} sizes
 * @param {number} octave
 * @param {number} ratio
 */
export function refinement(sizes, octave, ratio) {
  return coefficients(sizes[octave], ratio === 1 ? 0 : sizes.length - 1 - octave);
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
