/**
 * Mirror images and quarter turns, under which photographs stay equally likely.
 *
 * The exact posterior mean turns with the picture, and a network's estimate only nearly so.
 * Averaging estimates over turned copies removes the error that depends on the turn.
 *
 * @module
 */

import { CHANNELS } from "./octaves.js";

/** @typedef {import("./octaves.js").Size} Size */

/** How many symmetries there are, the identity included. */
export const COUNT = 8;

/**
 * Apply symmetry `number`, 0 (none) to 7, to planes of `size`.
 *
 * 1 mirrors left and right, 2 top and bottom, 3 both; 4 to 7 do that and then transpose.
 *
 * @param {Float32Array} x
 * @param {Size} size
 * @param {number} number
 */
export function turned(x, size, number) {
  return moved(x, size, number, false);
}

/**
 * Undo symmetry `number`; `size` is that of the picture before it was turned.
 *
 * @param {Float32Array} x
 * @param {Size} size
 * @param {number} number
 */
export function turnedBack(x, size, number) {
  return moved(x, size, number, true);
}

/**
 * Return the size of a picture of `size` under symmetry `number`.
 *
 * @param {Size} size
 * @param {number} number
 * @returns {Size}
 */
export function turnedSize({ height, width }, number) {
  return number & 4 ? { height: width, width: height } : { height, width };
}

/**
 * Return the mean of `estimate` over the first `count` symmetries of planes of `size`.
 *
 * @param {(x: Float32Array, size: Size) => Promise<Float32Array>} estimate
 * @param {Float32Array} x
 * @param {Size} size
 * @param {number} count
 */
export async function averaged(estimate, x, size, count) {
  const total = Float32Array.from(await estimate(x, size));
  for (let number = 1; number < count; number++) {
    const estimated = await estimate(turned(x, size, number), turnedSize(size, number));
    const back = turnedBack(estimated, size, number);
    for (let i = 0; i < total.length; i++) total[i] += back[i];
  }
  return total.map((sum) => sum / count);
}

/**
 * @param {Float32Array} x
 * @param {Size} size
 * @param {number} number
 * @param {boolean} back
 */
function moved(x, { height, width }, number, back) {
  const result = new Float32Array(x.length);
  for (let channel = 0; channel < CHANNELS; channel++) {
    const origin = channel * height * width;
    for (let row = 0; row < height; row++) {
      const from = number & 2 ? height - 1 - row : row;
      for (let column = 0; column < width; column++) {
        const place = origin + from * width + (number & 1 ? width - 1 - column : column);
        const there = origin + (number & 4 ? column * height + row : row * width + column);
        if (back) result[place] = x[there];
        else result[there] = x[place];
      }
    }
  }
  return result;
}
