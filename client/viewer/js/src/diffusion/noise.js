/**
 * Computes the features of a noise level or a field that are inputs of the network.
 *
 * @module
 */

/** How many numbers describe a noise level to the network. */
export const NOISE_FEATURES = 16;
/** How many more describe each of the ratio and the share of a precision field. */
export const SHAPE_FEATURES = 8;

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

/**
 * Describe a precision field by NOISE_FEATURES + 2 SHAPE_FEATURES numbers in [-1, 1].
 *
 * `level` is the natural logarithm of the finest detail's full precision; a ratio is in [1/e, 1], a
 * share in [0, 1]; other values are clamped.
 *
 * @param {number} level
 * @param {import("./field.js").Field} field
 */
export function fieldFeatures(level, { ratio, share }) {
  const shape = [
    1 + Math.log(Math.min(Math.max(ratio, 1 / Math.E), 1)),
    Math.sqrt(Math.min(Math.max(share, 0), 1)),
  ];
  const described = shape.flatMap((u) =>
    Array.from({ length: SHAPE_FEATURES }, (_, k) => (k ? Math.cos(Math.PI * k * u) : 2 * u - 1)),
  );
  return Float32Array.from([...noiseFeatures(level), ...described]);
}
