/**
 * Squares that are divided into quarters, down to single cells: the trees of trust and of motion.
 *
 * @module
 */

/** @typedef {import("./octaves.js").Size} Size */
/**
 * Level, row and column: the side is two to the power of the level, and places count in sides.
 *
 * @typedef {[number, number, number]} Square
 */

/** Return the level of the smallest square that contains all cells. @param {Size} size */
export function levels({ height, width }) {
  let result = 0;
  while (2 ** result < Math.max(height, width)) result++;
  return result;
}

/**
 * Return the quarters of a square, row by row, without those beyond the border.
 *
 * @param {Square} square
 * @param {Size} size  of all, in cells
 * @returns {Square[]}
 */
export function quarters([level, row, column], { height, width }) {
  const side = 2 ** (level - 1);
  /** @type {Square[]} */
  const result = [];
  for (const below of [2 * row, 2 * row + 1]) {
    for (const right of [2 * column, 2 * column + 1]) {
      if (below * side < height && right * side < width) result.push([level - 1, below, right]);
    }
  }
  return result;
}
