/**
 * How a network is told a noise level: computed here, outside its graph.
 *
 * @module
 */

/** How many numbers describe a noise level to the network. */
export const NOISE_FEATURES = 16;

/**
 * Describe the noise level `logSnr` (natural logarithm) by NOISE_FEATURES numbers.
 *
 * The first is the level itself, the others a cosine basis over [-12, 12], beyond which the
 * level is clamped.  Every value lies in [-1, 1].
 *
 * @param {number} logSnr
 */
export function noiseFeatures(logSnr) {
  const u = (Math.min(Math.max(logSnr, -12), 12) + 12) / 24;
  return Float32Array.from({ length: NOISE_FEATURES }, (_, k) =>
    k ? Math.cos(Math.PI * k * u) : 2 * u - 1,
  );
}
