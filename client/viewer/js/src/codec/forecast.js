/**
 * Predicts the error of the receiver's picture from the stream alone, without side information.
 *
 * The sender spends n bits on a step so as to gain delta; an error of energy |e|^2 asks for
 * n = D/2 log2(1 + delta |e|^2 / D).  Solved for |e|^2, every step states the error of the estimate
 * it started from, and every opening the energy of the detail that was missing.  From there the
 * newest picture is extrapolated: error falls with a power of snr, detail with a ratio per octave.
 *
 * All errors here are mean squares per value in signal units (the signal has a range of 4).
 *
 * @module
 */

import { openedSnr } from "../diffusion/observation.js";

const SIGNAL_RANGE = 4;

const USUAL_SLOPE = 0.5;
/**
 * The ratio of an octave's missing detail to that of the next coarser one, once the latter is known
 * as well as it will be; for renderings.
 */
const USUAL_RATIO = 0.67;
/** Missing detail of photographs before any octave has stated it; for renderings. */
const UNSEEN_AT_FIRST = 0.1;
/** The same ratio while the coarser octave is not known either. */
const UNSEEN_RATIO = 0.95;
/** Missing detail before any octave has stated it, and its ratio from octave to octave. */
const UNSEEN_BEFORE_ALL = 0.08;
const RATIO_BEFORE_ALL = 0.9;
/** The first estimate's error over that of independent values; neighbouring values are related. */
const RELATED = 0.5;
/** Three in four values of an octave are detail. */
export const DETAIL_SHARE = 0.75;
const SHRINKAGE = 0.57;
/**
 * The power of snr with which the error falls while a reference knows more than the stream: what is
 * left is mostly the reference's own error, of which no denoiser explains anything.
 */
const STARTED_SLOPE = 0.05;
/** What a reference leaves open, over what its trust says, which is in steps of 3 dB. */
const STARTED_MORE = 1.2;
/** Smaller errors are rounding; a step over no error at all states 0. */
const LEAST_ERROR = 1e-9;
/** The factor, either way, within which the error of open octaves most likely lies ... */
const WITHIN = 1.2;
/** ... the same with a reference ... */
const WITHIN_STARTED = 1.4;
/** ... and its increase for each octave that is not open yet. */
const WITHIN_MORE = 0.3;

/**
 * The expected error of a picture, and its range for nine photographs in ten.
 *
 * @typedef {{ error: number, least: number, most: number }} Expected
 */

/**
 * Return the expected error of a picture that is blended from one to the other by `share`, 0 to 1.
 *
 * @param {Expected} one
 * @param {Expected} other
 * @param {number} share
 * @returns {Expected}
 */
export function mixed(one, other, share) {
  return {
    error: (1 - share) * one.error + share * other.error,
    least: (1 - share) * one.least + share * other.least,
    most: (1 - share) * one.most + share * other.most,
  };
}

/**
 * Return what to expect if `lost` was never heard of what steps have brought.
 *
 * @param {Expected} expected
 * @param {number} lost
 * @returns {Expected}
 */
export function worse({ error, least, most }, lost) {
  return { error: error + lost, least: least + lost / WITHIN, most: most + lost * WITHIN };
}

/**
 * Return the range of the PSNR in dB for nine photographs in ten.
 *
 * @param {Expected} expected
 * @returns {[number, number]}
 */
export function range({ least, most }) {
  return [decibel(most), decibel(least)];
}

/** What the steps so far say about the error.  Immutable. */
export class Forecast {
  /**
   * `anchor` is snr and error of the last estimate whose error was stated, `slope` the power of snr
   * with which the error falls, `details` the energy per value of the missing detail, per octave
   * opened, coarsest first, `ratio` that of the observation's precision field.  With a reference,
   * `unknown` is what it leaves open of the detail of each scale, finest first.
   *
   * @param {{ anchor?: readonly [number, number], slope?: number, details?: readonly number[],
   *   ratio?: number, unknown?: readonly number[] | null }} [known]
   */
  constructor({
    anchor = [0, 1],
    slope = USUAL_SLOPE,
    details = [],
    ratio = 1,
    unknown = null,
  } = {}) {
    this.ratio = ratio;
    this.unknown = unknown;
    this.anchor = anchor;
    this.slope = slope;
    this.details = details;
  }

  /**
   * Return the forecast before the first step, if a reference has as much `trust`.
   *
   * @param {number} ratio
   * @param {import("../diffusion/trust.js").Trust | null} trust
   */
  static beginning(ratio, trust) {
    if (!trust) return new Forecast({ ratio });
    const missing = Array.from(trust.codes, (_, scale) => trust.missing(scale));
    const low = missing[missing.length - 1];
    const unknown = missing.slice(0, -1).map((detail) => STARTED_MORE * detail);
    return new Forecast({ ratio, anchor: [0, low], slope: STARTED_SLOPE, unknown });
  }

  /**
   * Return the forecast with another second estimate, which has as much `trust`.
   *
   * What steps have stated stays: it was about the estimate with the one before.
   *
   * @param {import("../diffusion/trust.js").Trust} trust
   */
  seconded(trust) {
    const begun = Forecast.beginning(this.ratio, trust);
    return this.anchor[0] ? new Forecast({ ...this, unknown: begun.unknown }) : begun;
  }

  /**
   * Return the forecast given that the estimate at `snr` had the error `stated`.
   *
   * It is the mean square, weighted by the precision of the observation relative to snr.
   *
   * @param {number} snr
   * @param {number} stated
   */
  refined(snr, stated) {
    stated = Math.max(this.plain(stated, snr), LEAST_ERROR);
    let slope = this.slope;
    const [before, error] = this.anchor;
    if (before > 0 && snr > 1.05 * before) {
      const seen = Math.log(error / stated) / Math.log(snr / before);
      const least = this.unknown ? 0 : 0.2;
      slope = 0.5 * slope + 0.5 * Math.min(Math.max(seen, least), 0.9);
    }
    return new Forecast({ ...this, anchor: [snr, stated], slope });
  }

  /**
   * Return the forecast after opening an octave that is now observed at `snr`.
   *
   * `stated` is the energy per value of the missing detail, as the opening states it.
   *
   * @param {number} snr
   * @param {number} stated
   */
  opened(snr, stated) {
    stated = Math.max(stated, LEAST_ERROR);
    // Observing detail explains some of it, and the denoiser more than each value by itself.
    const shrinkage = this.unknown ? 1 : SHRINKAGE;
    const left = (shrinkage * DETAIL_SHARE * stated) / (1 + snr * stated);
    const before = this.error(snr / openedSnr(1, this.ratio));
    const anchor = /** @type {const} */ ([snr, before + left]);
    const details = [...this.details, stated];
    const slope = this.unknown ? STARTED_SLOPE : USUAL_SLOPE;
    return new Forecast({ ...this, anchor, details, slope });
  }

  /**
   * Return the mean squared error of an estimate at `snr` whose weighted one is `stated`.
   *
   * The spread of errors over scales follows from the missing detail that the openings stated:
   * observed at a precision p, detail of variance v misses 1 / (p + 1 / v) of each value.
   *
   * @param {number} stated
   * @param {number} snr
   */
  plain(stated, snr) {
    if (this.ratio === 1) return stated;
    let [weighted, total] = [0, 0];
    for (let scale = 0; scale <= this.details.length; scale++) {
      const weight = this.ratio ** -scale;
      const variance = this.details.at(-1 - scale);
      const share = (variance === undefined ? 1 : DETAIL_SHARE) * 4 ** -scale;
      // In the finer octave a coarser one's coefficients are twice as large, per scale.
      const known = variance === undefined ? 0 : 1 / Math.max(variance * 4 ** scale, LEAST_ERROR);
      const error = share / (Math.max(snr, LEAST_ERROR) * weight + known);
      weighted += weight * error;
      total += error;
    }
    return (stated * total) / weighted;
  }

  /**
   * Return the expected error of the estimate at `snr`, in the octave observed.
   *
   * @param {number} snr
   */
  error(snr) {
    const [before, error] = this.anchor;
    // As for independent values of this variance: their relations are not known yet.
    if (before === 0) return error / (1 + snr * error);
    return error * (before / snr) ** this.slope;
  }

  /**
   * Return the expected error of the rendered picture of the octave observed, at `snr`.
   *
   * Until an estimate's error has been stated, it is less than that of error().
   *
   * @param {number} snr
   */
  known(snr) {
    const first = this.anchor[0] === 0 && snr > 0 && !this.unknown;
    return first ? RELATED * this.error(snr) : this.error(snr);
  }

  /**
   * Return the expected detail of the `octaves` finer octaves that are not open yet.
   *
   * It is per value of the whole picture, and what enlarging the estimate leaves out.
   *
   * @param {number} octaves
   */
  unseen(octaves) {
    if (this.unknown) {
      return DETAIL_SHARE * this.unknown.slice(0, octaves).reduce((sum, value) => sum + value, 0);
    }
    const last = this.details.at(-1);
    const ratio = last === undefined ? RATIO_BEFORE_ALL : this.#ratio(UNSEEN_RATIO);
    const detail = last ?? UNSEEN_BEFORE_ALL / RATIO_BEFORE_ALL;
    let sum = 0;
    for (let ahead = 0; ahead < octaves; ahead++) {
      sum += DETAIL_SHARE * detail * ratio ** (ahead + 1);
    }
    return sum;
  }

  /**
   * Return the expected energy per value of the missing detail `ahead` + 1 octaves further.
   *
   * @param {number} ahead
   */
  missing(ahead) {
    if (this.unknown) return this.unknown[this.unknown.length - this.details.length - 1 - ahead];
    const last = this.details.at(-1);
    if (last === undefined) return UNSEEN_AT_FIRST * USUAL_RATIO ** ahead;
    return last * this.#ratio(USUAL_RATIO) ** (ahead + 1);
  }

  /**
   * Return the ratio from octave to octave, where `usual` is that of photographs.
   *
   * @param {number} usual
   */
  #ratio(usual) {
    const [previous, last] = this.details.slice(-2);
    if (last === undefined) return usual;
    // One octave says little about the next: average with the ratio of photographs.
    return (usual * Math.min(Math.max(last / previous, 0.1), 1.5)) ** 0.5;
  }

  /**
   * Return the expected error of the whole picture at `snr` while `octaves` octaves are not open.
   *
   * @param {number} snr
   * @param {number} octaves
   * @returns {Expected}
   */
  expected(snr, octaves) {
    const [known, unseen] = [this.known(snr), this.unseen(octaves)];
    const far = WITHIN + WITHIN_MORE * octaves;
    const within = this.unknown ? WITHIN_STARTED : WITHIN;
    const near = this.anchor[0] === 0 ? far : within;
    return {
      error: known + unseen,
      least: known / near + unseen / far,
      most: known * near + unseen * far,
    };
  }
}

/**
 * Return the PSNR in dB of a mean squared error in signal units.
 *
 * @param {number} error
 */
export function decibel(error) {
  return 10 * Math.log10(SIGNAL_RANGE ** 2 / Math.max(error, LEAST_ERROR));
}
