/** What a picture looks like, compared with Python's. */

import assert from "node:assert/strict";

import { VECTORS, near } from "./vectors.js";

/** @typedef {import("../src/codec/rendering.js").Picture} Picture */

/** Every so many values of a picture, alpha apart. @param {Picture} picture */
function some({ pixels }) {
  const rgb = pixels.filter((_, i) => i % 4 !== 3);
  return rgb.filter((_, i) => i % VECTORS.every === 0);
}

/**
 * Assert that values are the same but for one in fifty, which is the next.
 *
 * @param {Picture} picture
 * @param {number[]} known
 */
export function alike(picture, known) {
  const shown = some(picture);
  near(shown, known, 1);
  const off = known.filter((value, i) => value !== shown[i]).length;
  assert.ok(off <= 0.02 * known.length + 1, `${off} of ${known.length} differ`);
}
