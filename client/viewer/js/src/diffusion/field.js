/**
 * Precision fields: how the precision of an observation is spread over scales.
 *
 * Precision is the inverse variance of an observation's noise.  A field gives one to every band of
 * the Haar transform of the octave observed.  With the signal-to-noise ratio snr, the ratio g and
 * the share f, detail of scale l (0 the finest of n) and the low band that remains after n scales
 * have
 *
 *     p_0 = f snr,    p_l = g^-l snr    for 0 < l < n,    p_low = g^-n snr
 *
 * White noise, the same in every basis, is g = f = 1.
 *
 * @module
 */

import { BANDS, coarser, details, dimensions, means, synthesis } from "./octaves.js";

/** @typedef {import("./octaves.js").Size} Size */

/**
 * `ratio` is the precision of a scale over that of the next coarser one, in (0, 1]; `share`, 0 to
 * 1, is the part of the finest detail's precision that has arrived.
 *
 * @typedef {{ ratio: number, share: number }} Field
 */

/** @type {Field} */
export const WHITE = Object.freeze({ ratio: 1, share: 1 });

/**
 * Return the precision of every band relative to snr, finest detail first, the low band last.
 *
 * @param {Field} field
 * @param {number} scales
 */
export function precisions({ ratio, share }, scales) {
  return Array.from({ length: scales + 1 }, (_, scale) =>
    scale === 0 && scales ? share : ratio ** -scale,
  );
}

/**
 * Return the Haar transform of planes of `size`: detail, finest first, and the low band.
 *
 * @param {Float32Array} x
 * @param {Size} size
 * @param {number} scales
 */
export function transformed(x, size, scales) {
  const result = [];
  for (let scale = 0; scale < scales; scale++) {
    result.push(details(x, size));
    x = means(x, size).map((value) => 2 * value);
    size = coarser(size);
  }
  return [...result, x];
}

/**
 * Invert transformed() for planes of `size`.
 *
 * @param {Float32Array[]} bands
 * @param {Size} size
 */
export function untransformed(bands, size) {
  const sizes = [size];
  while (sizes.length < bands.length) sizes.push(coarser(sizes[sizes.length - 1]));
  let x = bands[bands.length - 1];
  for (let scale = bands.length - 2; scale >= 0; scale--) {
    x = synthesis(x, bands[scale], sizes[scale]);
  }
  return x;
}

/**
 * Return the lengths of the bands of planes of `size`, finest detail first, the low band last.
 *
 * @param {Size} size
 * @param {number} scales
 */
function lengths(size, scales) {
  const result = [];
  for (let scale = 0; scale < scales; scale++) {
    size = coarser(size);
    result.push(BANDS * dimensions(size));
  }
  return [...result, dimensions(size)];
}

/**
 * Return the number of values of a refinement of an octave of `size` that is observed in `scales`.
 *
 * If sides are odd, it exceeds the octave's own, because repeated borders are transformed too.
 *
 * @param {Size} size
 * @param {number} scales
 */
export function coefficients(size, scales) {
  return lengths(size, scales).reduce((sum, length) => sum + length, 0);
}
