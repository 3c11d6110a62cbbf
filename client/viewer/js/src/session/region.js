/**
 * A part of a picture that is wanted before the rest: what OPEN says of it.
 *
 * The part is named in cells of CELL x CELL pixels, so that wishes that hardly differ are one; cells
 * at the right and at the bottom end where the picture does.  Its stream is a stream of its own,
 * which starts from the bytes of the picture's stream that the receiver holds.
 *
 * @module
 */

/** Pixels of the side of a cell. */
export const CELL = 32;
/** So many cells hold the longest side of a picture. */
export const MOST_CELLS = 2048;

/**
 * A part of a picture in cells, how many bytes of the picture's own stream the receiver holds, and
 * the first 8 bytes of their SHA-256.
 *
 * @typedef {{ left: number, top: number, width: number, height: number, size: number,
 *   digest: string }} Region
 * @typedef {{ left: number, top: number, width: number, height: number }} Rectangle in pixels, or
 *   in cells
 */

/**
 * Return the cells that a rectangle touches in a picture of `width` x `height` pixels; null if it is
 * not a part of the picture.
 *
 * @param {Rectangle} rectangle
 * @param {number} width
 * @param {number} height
 * @returns {Rectangle | null}
 */
export function covering(rectangle, width, height) {
  const right = rectangle.left + rectangle.width;
  const bottom = rectangle.top + rectangle.height;
  const numbers = [rectangle.left, rectangle.top, right, bottom];
  if (!numbers.every(Number.isInteger) || rectangle.left < 0 || rectangle.top < 0) return null;
  if (rectangle.width < 1 || rectangle.height < 1 || right > width || bottom > height) return null;
  const left = Math.floor(rectangle.left / CELL);
  const top = Math.floor(rectangle.top / CELL);
  return {
    left,
    top,
    width: Math.ceil(right / CELL) - left,
    height: Math.ceil(bottom / CELL) - top,
  };
}

/**
 * Return the pixels of cells in a picture of `width` x `height` pixels, which has them.
 *
 * @param {Rectangle} cells
 * @param {number} width
 * @param {number} height
 * @returns {Rectangle}
 */
export function pixels(cells, width, height) {
  const left = CELL * cells.left;
  const top = CELL * cells.top;
  return {
    left,
    top,
    width: Math.min(width, left + CELL * cells.width) - left,
    height: Math.min(height, top + CELL * cells.height) - top,
  };
}
