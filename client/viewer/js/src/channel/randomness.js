/**
 * Shared randomness: integers from a counter, normals from a table.
 *
 * Both ends of a stream need the same random numbers, on any device and in any language, in any
 * order.  So they are a pure function of an address: Philox4x32-10 (Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011) maps (key, counter) to four 32-bit words by integer
 * arithmetic alone, and a table of 4,096 quantiles, rounded to multiples of 2^-12, maps 12 bits of
 * a word to a normal variate.
 *
 *     key     = (seed, purpose)
 *     counter = (block, address, 0, 0), four words a block
 *
 * @module
 */

import { inverseNormal } from "./quantile.js";

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];
const ROUNDS = 10;

const TABLE_BITS = 12;
const GRID = 4096;

/** What random words are drawn for; part of the key, so that no two uses share words. */
export const Purpose = Object.freeze({ CODEBOOK: 1, ROTATION: 2, RENDERING: 3 });

/**
 * Write Philox4x32-10 of a counter to four places of `out`, from `place` on.
 *
 * @param {Uint32Array} out
 * @param {number} place
 * @param {readonly number[]} key  two 32-bit integers
 * @param {readonly number[]} counter  four
 */
export function philox(out, place, key, counter) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highProduct(c0, MULTIPLIERS[0]);
    const high1 = highProduct(c2, MULTIPLIERS[1]);
    const low0 = Math.imul(c0, MULTIPLIERS[0]);
    const low1 = Math.imul(c2, MULTIPLIERS[1]);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL[0]) | 0;
    k1 = (k1 + WEYL[1]) | 0;
  }
  out[place] = c0;
  out[place + 1] = c1;
  out[place + 2] = c2;
  out[place + 3] = c3;
}

/**
 * Return the upper half of the product of two 32-bit integers, by halves of 16 bits.
 *
 * @param {number} a
 * @param {number} b
 */
function highProduct(a, b) {
  const [aLow, aHigh] = [a & 0xffff, a >>> 16];
  const [bLow, bHigh] = [b & 0xffff, b >>> 16];
  // Neither sum reaches 2^32: (2^16 - 1)^2 + 2^16 - 1 is less.
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const other = (Math.imul(aLow, bHigh) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
}

/**
 * Return the first `count` random words at `address`.
 *
 * @param {number} seed
 * @param {number} purpose
 * @param {number} address
 * @param {number} count
 */
export function words(seed, purpose, address, count) {
  const blocks = Math.ceil(count / 4);
  const drawn = new Uint32Array(4 * blocks);
  const key = [seed, purpose];
  const counter = [0, address, 0, 0];
  for (let block = 0; block < blocks; block++) {
    counter[0] = block;
    philox(drawn, 4 * block, key, counter);
  }
  return drawn.subarray(0, count);
}

/**
 * Return `count` random signs, packed: sign i is bit i mod 32 of word floor(i / 32), 1 meaning minus.
 *
 * @param {number} seed
 * @param {number} purpose
 * @param {number} address
 * @param {number} count
 */
export function signs(seed, purpose, address, count) {
  return words(seed, purpose, address, Math.ceil(count / 32));
}

/**
 * Return `count` standard normals; the top 12 bits of each word pick a table entry.
 *
 * @param {number} seed
 * @param {number} purpose
 * @param {number} address
 * @param {number} count
 */
export function normals(seed, purpose, address, count) {
  const table = normalTable();
  const drawn = words(seed, purpose, address, count);
  const result = new Float32Array(count);
  for (let i = 0; i < count; i++) result[i] = table[drawn[i] >>> (32 - TABLE_BITS)];
  return result;
}

/** @type {Float32Array | null} */
let tabled = null;

/**
 * Return the 4,096 mid-quantiles of a normal, scaled to unit variance, on the grid 2^-12.
 *
 * The values are multiples of 2^-12, hence exact in single precision and the same everywhere: no
 * quantile lies within 1e-6 grid steps of a rounding boundary, whatever the last bit of a
 * platform's logarithm.
 */
export function normalTable() {
  if (!tabled) {
    const size = 2 ** TABLE_BITS;
    const upper = Float64Array.from({ length: size / 2 }, (_, i) =>
      inverseNormal((size / 2 + i + 0.5) / size),
    );
    const variance = upper.reduce((sum, value) => sum + value * value, 0) / upper.length;
    tabled = new Float32Array(size);
    for (let i = 0; i < size / 2; i++) {
      const entry = Math.round((upper[i] / Math.sqrt(variance)) * GRID) / GRID;
      tabled[size / 2 + i] = entry;
      tabled[size / 2 - 1 - i] = -entry;
    }
  }
  return tabled;
}
