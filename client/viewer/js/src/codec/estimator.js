/**
 * What the denoiser, the coarser octaves and the reference together make of an observation.
 *
 * @module
 */

import * as octaves from "../diffusion/octaves.js";
import * as symmetry from "../diffusion/symmetry.js";
import { everything } from "./after.js";

/** @typedef {import("../diffusion/field.js").Field} Field */
/** @typedef {import("../diffusion/observation.js").Observation} Observation */
/** @typedef {import("../diffusion/octaves.js").Size} Size */
/** @typedef {import("../diffusion/reference.js").ReferencePicture} ReferencePicture */

/**
 * The posterior mean of an octave given its observation: x_hat = E[x | eta], planes of `size`, for
 * eta = snr x + sqrt(snr) n, snr > 0; with noise of another `field`, white by default, it is what
 * Observation.eta says.  The result is its own, eta is not changed.  Rejects with UnsupportedStream
 * for a field that it does not know.
 *
 * @typedef {(eta: Float32Array, size: Size, snr: number, field?: Field) => Promise<Float32Array>}
 *   Denoiser
 */

/**
 * Returns x_hat of an observation, which may be known already.
 *
 * @typedef {(observation: Observation) => Promise<Float32Array>} Estimate
 */

/** Estimates of one picture, whose octaves have `sizes`, finest first. */
export class Estimator {
  #denoiser;
  /** Denoiser evaluations so far, in units of one at full resolution. */
  evaluations = 0;

  /**
   * @param {Denoiser} denoiser
   * @param {Size[]} sizes
   * @param {ReferencePicture | null} reference
   */
  constructor(denoiser, sizes, reference) {
    this.#denoiser = denoiser;
    this.sizes = sizes;
    this.reference = reference;
  }

  /**
   * Return the same with another reference.
   *
   * @param {ReferencePicture} reference
   */
  seconded(reference) {
    const other = new Estimator(this.#denoiser, this.sizes, reference);
    other.evaluations = this.evaluations;
    return other;
  }

  /**
   * Return x_hat of an observation; while nothing is observed it is the reference's, or zeros.
   *
   * @param {Observation} observation
   * @param {Estimate} estimate  of the coarser octaves
   */
  async evaluated(observation, estimate) {
    const { size, snr, field } = observation;
    const fine = snr
      ? await this.#denoised(observation.eta, size, snr, field)
      : new Float32Array(octaves.dimensions(size));
    return this.joined(observation, fine, estimate);
  }

  /**
   * Return `fine`, joined with what the coarser octaves and the reference tell.
   *
   * @param {Observation} observation
   * @param {Float32Array} fine
   * @param {Estimate} estimate
   */
  async joined(observation, fine, estimate) {
    const [coarser, reference] = [observation.coarser(), this.reference];
    if (!coarser) return reference ? reference.corrected(fine, observation) : fine;
    const coarse = await estimate(coarser);
    return reference
      ? reference.joined(observation, fine, coarse)
      : observation.joined(fine, coarse);
  }

  /**
   * Return the denoiser's estimate of this octave alone, averaged over symmetries.
   *
   * @param {Observation} observation
   * @param {number} symmetries
   * @param {Estimate} estimate  of this octave, if its noise is white
   */
  fine(observation, symmetries, estimate) {
    const { eta, size, snr, field } = observation;
    return symmetry.averaged(
      (turned, as) =>
        turned === eta && observation.white
          ? estimate(observation)
          : this.#denoised(turned, as, snr, field),
      eta,
      size,
      symmetries,
    );
  }

  /**
   * Return the detail to expect in the next finer octave: of the interpolation of `xHat`, and of the
   * reference.
   *
   * @param {Float32Array} xHat
   * @param {Observation} observation
   */
  detail(xHat, { octave }) {
    return this.expected(this.#interpolated(xHat, octave), octave - 1);
  }

  /**
   * Return the detail to expect in `octave` if `bands` is what the stream tells of it.
   *
   * @param {Float32Array} bands
   * @param {number} octave
   */
  expected(bands, octave) {
    return this.reference?.foreseen(bands, octave) ?? bands;
  }

  /**
   * Return an observation of an opened octave without any of its detail, and what is absent.
   *
   * Shaped noise says that nothing is known of it; white noise cannot, and the detail lies at its
   * prediction, the interpolation of the estimate `xHat`, without noise.
   *
   * @param {Observation} observation
   * @param {Float32Array} xHat
   * @returns {{ opened: Observation, absent: import("./after.js").Projection | null }}
   */
  unheard(observation, xHat) {
    const size = this.sizes[observation.octave - 1];
    if (!observation.white) return { opened: observation.widened(size), absent: null };
    const bands = this.#interpolated(xHat, observation.octave);
    return { opened: observation.opened(bands, null, size, 1), absent: everything };
  }

  /**
   * Enlarge an estimate of `octave` to the size of octave `shown`, a finer one.
   *
   * @param {Float32Array} x
   * @param {number} octave
   * @param {number} shown
   */
  enlarged(x, octave, shown) {
    const { reference } = this;
    if (!reference) return octaves.enlarged(x, this.sizes.slice(shown, octave + 1));
    for (let finer = octave - 1; finer >= shown; finer--) x = reference.enlarged(x, finer);
    return x;
  }

  /**
   * @param {Float32Array} xHat
   * @param {number} octave
   */
  #interpolated(xHat, octave) {
    const [finer, size] = this.sizes.slice(octave - 1, octave + 1);
    return octaves.details(octaves.upsampled(xHat, size, finer), finer);
  }

  /**
   * @param {Float32Array} eta
   * @param {Size} size
   * @param {number} snr
   * @param {Field} field
   */
  async #denoised(eta, size, snr, field) {
    const xHat = await this.#denoiser(eta, size, snr, field);
    this.evaluations += octaves.area(size) / octaves.area(this.sizes[0]);
    return xHat;
  }
}
