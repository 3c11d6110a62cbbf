/**
 * What is known after a step of a stream, or after the part of a step that has arrived.
 *
 * @module
 */

/**
 * From detail bands to detail bands.
 *
 * @typedef {(bands: Float32Array) => Float32Array} Projection
 */

/**
 * The state after a step, or after the part of it that has arrived.
 *
 * A refinement gains snr in proportion to `received`, the fraction of the step's values that
 * arrived; an opening cannot, so detail that did not arrive stays at its prediction, without noise.
 * `absent` projects detail bands on the part of an opening that has not arrived; null if all has.
 * `expected` is the expected error of the posterior mean.
 *
 * @typedef {{ observation: import("../diffusion/observation.js").Observation,
 *   forecast: import("./forecast.js").Forecast, received: number, absent: Projection | null,
 *   expected: import("./forecast.js").Expected }} After
 */

/**
 * Project detail bands on all of them: return `bands`.
 *
 * @type {Projection}
 */
export const everything = (bands) => bands;
