/**
 * A denoiser that remembers its last results.
 *
 * @module
 */

import { WHITE } from "../diffusion/field.js";

/** @typedef {import("../codec/estimator.js").Denoiser} Denoiser */
/**
 * @typedef {{ eta: Float32Array, snr: number, ratio: number, share: number,
 *   xHat: Promise<Float32Array> }} Result
 */

/** Results remembered: those of the octaves of an observation, and of the octave after it. */
const MOST = 12;

/**
 * Return a denoiser for one picture of a clip.
 *
 * A new second estimate of the picture changes nothing of its observation, so what the network says of
 * that need not be computed again.  Results are shared: nobody may write to them, nor to what was asked.
 *
 * @param {Denoiser} denoiser
 * @returns {Denoiser}
 */
export function remembering(denoiser) {
  /** The last one used comes last. @type {Result[]} */
  const known = [];
  return (eta, size, snr, field = WHITE) => {
    const { ratio, share } = field;
    const place = known.findIndex(
      (one) => one.snr === snr && one.ratio === ratio && one.share === share && same(one.eta, eta),
    );
    const result =
      place < 0
        ? { eta, snr, ratio, share, xHat: denoiser(eta, size, snr, field) }
        : known.splice(place, 1)[0];
    known.push(result);
    if (known.length > MOST) known.shift();
    // What has failed is tried again.
    result.xHat.catch(() => {
      const at = known.indexOf(result);
      if (at >= 0) known.splice(at, 1);
    });
    return result.xHat;
  };
}

/** @param {Float32Array} one @param {Float32Array} other */
function same(one, other) {
  if (one === other) return true;
  return one.length === other.length && one.every((value, i) => value === other[i]);
}
