/**
 * How the places of a picture have moved since another one: vectors, for each block.
 *
 *     motion = node               bits, the highest of a byte first, zeros at the end
 *     node   = 0 vector | 1 node{1,4}
 *     vector = difference difference      down and to the right
 *
 * Blocks are the pixels of octave 4, squares of 16 pixels, or those of the coarsest octave if there
 * are fewer octaves.  The tree begins with the smallest square that contains all blocks and whose side
 * is a power of two.  A 0 says that one vector holds in all of a square; after a 1 follow its quarters,
 * row by row, without those beyond the border; of a single block there is no such bit.  Vectors are in
 * half pixels, and are told by their differences from the vector told before, at first from (0, 0).  A
 * difference d is the number 2 |d| - (d > 0), plus one, in Elias's gamma code.
 *
 * A picture moved by a motion is, at every pixel, the mean of four: what the vectors of the four
 * nearest blocks bring there, weighted by how near their middles are (overlapped block motion
 * compensation).  Half pixels are interpolated linearly, and borders repeat.
 *
 * @module
 */

import { CHANNELS, area } from "./octaves.js";
import { levels, quarters } from "./squares.js";

/** @typedef {import("./octaves.js").Size} Size */

const BLOCK_OCTAVE = 4;
/** The farthest that a block moves, in half pixels, either way. */
const MOST_MOVED = 4095;
/** Most zeros before the one of a number. */
const LONGEST = 14;

/** Where the blocks of a picture come from.  Immutable. */
export class Motion {
  /**
   * `down` and `right` say by how many half pixels each block has moved, row after row; there are
   * blocks of `size`, squares of `side` pixels.
   *
   * @param {Int16Array} down
   * @param {Int16Array} right
   * @param {Size} size
   * @param {number} side
   */
  constructor(down, right, size, side) {
    this.down = down;
    this.right = right;
    this.size = size;
    this.side = side;
  }

  /**
   * Return the motion of a picture in which nothing has moved, with octaves of `sizes`.
   *
   * @param {Size[]} sizes
   */
  static still(sizes) {
    const octave = Math.min(BLOCK_OCTAVE, sizes.length - 1);
    const size = sizes[octave];
    return new Motion(new Int16Array(area(size)), new Int16Array(area(size)), size, 2 ** octave);
  }

  /**
   * Return what `data` says.  Throws RangeError if it is too short, too long or absurd.
   *
   * @param {Uint8Array} data
   * @param {Size[]} sizes
   */
  static parse(data, sizes) {
    const motion = Motion.still(sizes);
    const { down, right, size } = motion;
    const { height, width } = size;
    const bits = new Bits(data);
    let [below, beside] = [0, 0];
    /** @type {import("./squares.js").Square[]} */
    const waiting = [[levels(size), 0, 0]];
    for (let square; (square = waiting.pop());) {
      const [level, row, column] = square;
      if (level && bits.bit()) {
        waiting.push(...quarters(square, size).reverse());
        continue;
      }
      below += bits.difference();
      beside += bits.difference();
      if (Math.max(Math.abs(below), Math.abs(beside)) > MOST_MOVED) {
        throw new RangeError("a block moves too far");
      }
      const [last, end] = [(row + 1) * 2 ** level, (column + 1) * 2 ** level];
      for (let line = row * 2 ** level; line < Math.min(last, height); line++) {
        const [from, to] = [column * 2 ** level, Math.min(end, width)].map((x) => line * width + x);
        down.fill(below, from, to);
        right.fill(beside, from, to);
      }
    }
    bits.end();
    return motion;
  }

  /**
   * Return planes of `size`, moved; what has not moved is returned itself.
   *
   * @param {Float32Array} x
   * @param {Size} size
   */
  moved(x, { height, width }) {
    if (!this.down.some(Boolean) && !this.right.some(Boolean)) return x;
    const result = new Float32Array(x.length);
    const plane = height * width;
    const across = this.#between(width, this.size.width);
    const along = this.#between(height, this.size.height);
    for (let row = 0, place = 0; row < height; row++) {
      for (let column = 0; column < width; column++, place++) {
        for (let corner = 0; corner < 4; corner++) {
          const [upper, left] = [2 * row + (corner >> 1), 2 * column + (corner & 1)];
          const weight = along.share[upper] * across.share[left];
          if (!weight) continue;
          const block = along.block[upper] * this.size.width + across.block[left];
          const y = within(2 * row - this.down[block], 2 * height - 2);
          const z = within(2 * column - this.right[block], 2 * width - 2);
          const here = (y >> 1) * width + (z >> 1);
          const under = (y & 1) * width;
          const beside = z & 1;
          for (let channel = 0; channel < CHANNELS; channel++) {
            const at = channel * plane + here;
            const sum = x[at] + x[at + under] + x[at + beside] + x[at + under + beside];
            result[channel * plane + place] += weight * (0.25 * sum);
          }
        }
      }
    }
    return result;
  }

  /**
   * Return, for each pixel of a side, the two blocks whose middles are nearest, and their weights.
   *
   * @param {number} length
   * @param {number} blocks
   */
  #between(length, blocks) {
    const block = new Int32Array(2 * length);
    const share = new Float64Array(2 * length);
    for (let i = 0; i < length; i++) {
      const place = (i + 0.5) / this.side - 0.5;
      const before = Math.floor(place);
      block[2 * i] = within(before, blocks - 1);
      block[2 * i + 1] = within(before + 1, blocks - 1);
      share[2 * i] = 1 - (place - before);
      share[2 * i + 1] = place - before;
    }
    return { block, share };
  }
}

/** Return the nearest number from 0 to `most`. @param {number} place @param {number} most */
function within(place, most) {
  return Math.min(Math.max(place, 0), most);
}

/** Bits that are read one by one.  Reading throws RangeError where there are none. */
class Bits {
  #data;
  #place = 0;

  /** @param {Uint8Array} data */
  constructor(data) {
    this.#data = data;
  }

  bit() {
    const at = this.#place++;
    if (at >= 8 * this.#data.length) throw new RangeError("a motion is told only in part");
    return (this.#data[at >> 3] >> (7 - (at & 7))) & 1;
  }

  difference() {
    let length = 0;
    while (!this.bit()) {
      length += 1;
      if (length > LONGEST) throw new RangeError("a block moves too far");
    }
    let number = 1;
    for (let i = 0; i < length; i++) number = 2 * number + this.bit();
    number -= 1;
    return number % 2 ? (number + 1) / 2 : -number / 2;
  }

  end() {
    const rest = 8 * this.#data.length - this.#place;
    if (rest >= 8 || (rest && this.#data[this.#data.length - 1] & (2 ** rest - 1))) {
      throw new RangeError("something follows a motion");
    }
  }
}
