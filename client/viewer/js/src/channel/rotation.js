/**
 * Spread an error evenly over its dimensions, by a rotation that both ends know.
 *
 * Reverse channel coding cuts an error into slices and spends the same bits on each, so every slice
 * should carry the same energy, wherever the picture's edges are.  A random permutation, sign
 * flips, a blockwise Walsh-Hadamard transform and more sign flips achieve that.
 *
 * The permutation is i -> (a i + b) mod D with a coprime to D, near D times the golden ratio, so
 * that neighbours land far apart.  Blocks have 1,024 dimensions; the tail that does not fill one is
 * cut into smaller powers of two.
 *
 * @module
 */

import { Purpose, signs, words } from "./randomness.js";

const BLOCK_BITS = 10;
const GOLDEN = [618_034, 1_000_000];

/** The rotation of `dims` dimensions at `address` (the step's number) of stream `seed`. */
export class Rotation {
  #dims;
  #multiplier;
  #offset;
  /** The sign flips before the transform, then those after it. */
  #flips;

  /**
   * @param {number} dims
   * @param {number} seed
   * @param {number} address
   */
  constructor(dims, seed, address) {
    const draw = words(seed, Purpose.ROTATION, 2 * address, 2);
    const least = Math.floor((dims * GOLDEN[0]) / GOLDEN[1]);
    let multiplier = Math.max(1, least - (draw[0] % Math.max(1, Math.floor(dims / 64))));
    while (divisor(multiplier, dims) !== 1) multiplier++;
    this.#dims = dims;
    this.#multiplier = multiplier % dims;
    this.#offset = draw[1] % dims;
    this.#flips = signs(seed, Purpose.ROTATION, 2 * address + 1, 2 * dims);
  }

  /**
   * Rotate `x`, of D values.
   *
   * @param {Float32Array} x
   */
  forward(x) {
    const mixed = new Float32Array(this.#dims);
    this.#permuted((i, origin) => {
      mixed[i] = x[origin];
    });
    this.#flip(mixed, 0);
    walshHadamard(mixed);
    this.#flip(mixed, this.#dims);
    return mixed;
  }

  /**
   * Rotate back: `inverse(forward(x))` is `x` up to rounding.
   *
   * @param {Float32Array} y
   */
  inverse(y) {
    const mixed = y.slice();
    this.#flip(mixed, this.#dims);
    walshHadamard(mixed);
    this.#flip(mixed, 0);
    const x = new Float32Array(this.#dims);
    this.#permuted((i, origin) => {
      x[origin] = mixed[i];
    });
    return x;
  }

  /** @param {(i: number, origin: number) => void} visit */
  #permuted(visit) {
    // By sums, because the product a i may exceed the exact integers of a number.
    let origin = this.#offset;
    for (let i = 0; i < this.#dims; i++) {
      visit(i, origin);
      origin += this.#multiplier;
      if (origin >= this.#dims) origin -= this.#dims;
    }
  }

  /**
   * Apply the signs from number `first` on.
   *
   * @param {Float32Array} x
   * @param {number} first
   */
  #flip(x, first) {
    const flips = this.#flips;
    for (let i = 0; i < x.length; i++) {
      const number = first + i;
      if ((flips[number >>> 5] >>> (number & 31)) & 1) x[i] = -x[i];
    }
  }
}

/**
 * Apply the orthonormal Walsh-Hadamard transform, its own inverse, block by block, in place.
 *
 * @param {Float32Array} x
 */
export function walshHadamard(x) {
  // In double precision, with a single rounding at the end.
  const block = new Float64Array(2 ** BLOCK_BITS);
  let start = 0;
  for (let bits = BLOCK_BITS; bits >= 0; bits--) {
    const size = 2 ** bits;
    const scale = 2 ** (-bits / 2);
    for (; x.length - start >= size; start += size) {
      for (let i = 0; i < size; i++) block[i] = x[start + i];
      butterflies(block, size);
      for (let i = 0; i < size; i++) x[start + i] = scale * block[i];
    }
  }
}

/**
 * @param {Float64Array} block
 * @param {number} size
 */
function butterflies(block, size) {
  for (let half = 1; half < size; half *= 2) {
    for (let first = 0; first < size; first += 2 * half) {
      for (let i = first; i < first + half; i++) {
        const [a, b] = [block[i], block[i + half]];
        block[i] = a + b;
        block[i + half] = a - b;
      }
    }
  }
}

/**
 * Return the greatest common divisor.
 *
 * @param {number} a
 * @param {number} b
 */
function divisor(a, b) {
  while (b) [a, b] = [b, a % b];
  return a;
}
