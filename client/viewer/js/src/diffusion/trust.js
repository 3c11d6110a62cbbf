/**
 * How far a reference is trusted: for each scale of the picture, and for each of its cells.
 *
 * The differences between a reference and the picture are taken for noise that is independent of the
 * picture, with one variance for each scale of the Haar transform.  In the cells that have changed,
 * the reference is not used at all.
 *
 *     trust  = code:u8 ... code:u8 [changed]
 *
 * There is a code for the detail of each scale, the finest first, and one for the coarsest octave,
 * which is the low band that remains.  With a the code's high half and b its low half, values of
 * that band have the variance V = 2^(2 - a), and the reference's differences from them
 * v = 2^(1 - b) V.  b = 0 means that the reference says nothing of this scale.
 *
 * Cells are the pixels of octave 5, squares of 32 pixels, or those of the coarsest octave if there
 * are fewer octaves.  `changed` is a tree of bits, the highest bit of a byte first, zeros at the end:
 * a bit says whether anything has changed in a square of cells, from the one that contains all,
 * whose side is a power of two, downwards.  After a 1 follow the square's quarters, row by row,
 * without those beyond the border; a single cell has none.  If nothing has changed, the tree may be
 * missing.
 *
 * @module
 */

import { area, coarser } from "./octaves.js";
import { levels, quarters } from "./squares.js";

/** @typedef {import("./octaves.js").Size} Size */

const CELL_OCTAVE = 5;
/**
 * Error of a denoiser's estimate over that of an estimate of each value by itself, on photographs
 * (as in codec/forecast.js).
 */
const SPREAD = 0.57;
/** Binary logarithm of the largest variance that a code can state. */
const LARGEST = 2;

/** How far a reference describes a picture whose octaves have `sizes`, finest first.  Immutable. */
export class Trust {
  /**
   * `codes` are those of each scale of detail, finest first, and of the low band; `changed` has a 1
   * for each cell in which the reference is of no use, row after row.
   *
   * @param {Uint8Array} codes
   * @param {Uint8Array} changed
   * @param {Size[]} sizes
   */
  constructor(codes, changed, sizes) {
    this.codes = codes;
    this.changed = changed;
    this.sizes = sizes;
  }

  /**
   * Return what `data` says.  Throws RangeError if it is too short or too long.
   *
   * @param {Uint8Array} data
   * @param {Size[]} sizes
   */
  static parse(data, sizes) {
    if (data.length < sizes.length) {
      throw new RangeError(`${data.length} bytes of trust for ${sizes.length} scales`);
    }
    const codes = data.slice(0, sizes.length);
    return new Trust(codes, read(data.subarray(sizes.length), sizes[cellOctave(sizes)]), sizes);
  }

  /**
   * Return the variance of the picture's values at `scale`.
   *
   * @param {number} scale
   */
  variance(scale) {
    return 2 ** (LARGEST - (this.codes[scale] >> 4));
  }

  /**
   * Return the variance of the reference's differences there; null if it says nothing.
   *
   * @param {number} scale
   */
  difference(scale) {
    const code = this.codes[scale] & 0x0f;
    return code ? this.variance(scale) * 2 ** (1 - code) : null;
  }

  /**
   * Return the reference's weight in the best estimate of a band, 0 to below 1, for each place; null
   * if it is 0 everywhere.
   *
   * The other part is the denoiser's estimate from an observation of `precision`.  Both are weighted
   * by the inverse of their variance.
   *
   * @param {number} scale
   * @param {number} precision
   */
  weight(scale, precision) {
    const difference = this.difference(scale);
    if (difference === null) return null;
    const own = this.#own(scale, precision);
    const whole = own / (own + difference);
    const trusted = this.trusted(scale);
    return trusted.some(Boolean) ? trusted.map((value) => value * whole) : null;
  }

  /**
   * Return the error per value of the denoiser's estimate, observed with `precision`.
   *
   * @param {number} scale
   * @param {number} precision
   */
  #own(scale, precision) {
    const variance = this.variance(scale);
    return (SPREAD * variance) / (1 + precision * variance);
  }

  /**
   * Return the expected energy per value of what the reference leaves open at `scale`.
   *
   * @param {number} scale
   */
  missing(scale) {
    const [variance, difference] = [this.variance(scale), this.difference(scale)];
    if (difference === null) return variance;
    const trusted = this.trusted(scale);
    // In single precision, as Python's.
    const share = Math.fround(trusted.reduce((sum, value) => sum + value, 0) / trusted.length);
    return variance * (1 - (share * variance) / (variance + difference));
  }

  /**
   * Return 1 where the reference is of use in a band and 0 elsewhere: values of an octave.
   *
   * @param {number} scale
   */
  trusted(scale) {
    const octave = Math.min(scale + 1, this.sizes.length - 1);
    const cell = cellOctave(this.sizes);
    const size = this.sizes[octave];
    if (octave > cell) {
      const { cells } = halved(this.changed, this.sizes[cell], octave - cell);
      return Float32Array.from(cells, (changed) => 1 - changed);
    }
    const { width } = this.sizes[cell];
    const result = new Float32Array(area(size));
    for (let row = 0, place = 0; row < size.height; row++) {
      const line = (row >> (cell - octave)) * width;
      for (let column = 0; column < size.width; column++, place++) {
        result[place] = 1 - this.changed[line + (column >> (cell - octave))];
      }
    }
    return result;
  }
}

/**
 * Return the octave whose pixels are the cells.
 *
 * @param {Size[]} sizes
 */
function cellOctave(sizes) {
  return Math.min(CELL_OCTAVE, sizes.length - 1);
}

/**
 * Halve `cells` several times: a cell is set if any of its four was.
 *
 * @param {Uint8Array} cells
 * @param {Size} size
 * @param {number} times
 */
function halved(cells, size, times) {
  for (let i = 0; i < times; i++) {
    const half = coarser(size);
    const fewer = new Uint8Array(area(half));
    for (let row = 0, place = 0; row < size.height; row++) {
      for (let column = 0; column < size.width; column++, place++) {
        fewer[(row >> 1) * half.width + (column >> 1)] |= cells[place];
      }
    }
    [cells, size] = [fewer, half];
  }
  return { cells, size };
}

/**
 * Return the cells that a tree names.  Throws RangeError if it does not fit.
 *
 * @param {Uint8Array} data
 * @param {Size} size
 */
function read(data, size) {
  const changed = new Uint8Array(area(size));
  if (!data.length) return changed;
  let place = 0;
  /** @param {number} at */
  const bit = (at) => (data[at >> 3] >> (7 - (at & 7))) & 1;
  /** @type {import("./squares.js").Square[]} */
  const waiting = [[levels(size), 0, 0]];
  for (let square; (square = waiting.pop());) {
    const [level, row, column] = square;
    if (place === 8 * data.length) throw new RangeError("what has changed is told only in part");
    if (!bit(place++)) continue;
    if (level) waiting.push(...quarters(square, size).reverse());
    else changed[row * size.width + column] = 1;
  }
  const rest = 8 * data.length - place;
  if (rest >= 8 || (rest && data[data.length - 1] & (2 ** rest - 1))) {
    throw new RangeError("something follows what has changed");
  }
  return changed;
}
