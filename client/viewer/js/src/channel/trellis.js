/**
 * Trellis-coded reverse channel coding, the receiver's half: a sample rebuilt from its bits.
 *
 * Both ends know the same 2^n codewords.  The sender searches for the codeword y with the largest
 * correlation <y, shift>, and sends its n bits; the receiver rebuilds y.
 *
 * The codewords are the paths of a tail-biting bit-shift trellis: the D dimensions are cut into n
 * slices, and a window of 14 bits, i to i + 13, determines slice i, with the first bits following
 * the last.  So every bit affects 14 slices, none is lost at the start or the end, and any prefix
 * of the bits gives the first part of y.
 *
 *     window       h r r r r r r r r r r r r l     bit i is h, bit i + 13 is l
 *     dimension j  +1 or -1: the parity of r and generator[j], of h and of l
 *     of a slice
 *
 * @module
 */

import { Purpose, words } from "./randomness.js";

const ROW_BITS = 12;
const ROWS = 2 ** ROW_BITS;
/** Number of bits that two neighbouring windows share. */
const MEMORY = ROW_BITS + 1;
const WINDOWS = 2 ** (MEMORY + 1);
/** A slice has at most this many dimensions. */
const WIDEST_SLICE = 4096;

/** @typedef {import("../container/reader.js").Span} Span */

/**
 * The sample in a payload, or in the first part of one: `values` are the shift plus noise of unit
 * variance, and zeros where it has not arrived; `there` is how many have, and `energy` is the mean square of the shift per dimension, as
 * the payload states it.
 *
 * @typedef {{ values: Float32Array, there: number, energy: number }} Sample
 */

/**
 * Return whether `length` bytes may carry a sample of `dims` values.
 *
 * No slice may be wider than WIDEST_SLICE, and no more than seven bits may have no slice.  It is
 * cheap, and called before anything is allocated for a step from outside.
 *
 * @param {number} dims
 * @param {number} length
 */
export function admits(dims, length) {
  const slices = Math.ceil(dims / WIDEST_SLICE);
  const fewest = Math.max(8, 8 * Math.ceil(slices / 8));
  return fewest <= 8 * length && 8 * length <= Math.max(8, dims + 7);
}

/**
 * Rebuild y from any prefix of its payload, scaled so that its noise has unit variance.
 *
 * `length` is that of the whole payload, which admits() has accepted; `lost` are the bytes that are
 * not known, from first to end: slices that depend on them are zeros.
 *
 * @param {Uint8Array} payload
 * @param {number} dims
 * @param {number} length
 * @param {Span[]} [lost]
 * @returns {Sample}
 */
export function reproduce(payload, dims, length, lost = []) {
  const count = 8 * length;
  const arrived = Math.min(count, 8 * payload.length);
  // The windows of the last slices end with the first bits, and are complete only at the end.
  const slices = arrived === count ? count : Math.max(0, arrived - MEMORY);
  const cosine = cosineSquared(count, dims);
  // A codeword at cosine r to the shift holds a share r^2 of it; scaled by c with
  // c^2 = 1 / (1 - r^2), the rest has unit variance.
  const scale = Math.fround((1 - cosine) ** -0.5);
  const values = new Float32Array(dims);
  const { table, parity } = codebook();
  // Slice i begins at floor(i D / n), computed by sums because the product may be too large.
  const [width, rest] = [Math.floor(dims / count), dims % count];
  const unknown = lost.length ? clouded(lost, slices, count) : null;
  let [place, remainder, there] = [0, 0, 0];
  let window = 0;
  for (let i = 0; i < MEMORY; i++) window = (window << 1) | bit(payload, i % count);
  for (let i = 0; i < slices; i++) {
    window = ((window << 1) | bit(payload, (i + MEMORY) % count)) & (WINDOWS - 1);
    const row = (window >> 1) & (ROWS - 1);
    const first = ((window >> MEMORY) ^ window) & 1 ? -scale : scale;
    remainder += rest;
    const wide = width + (remainder >= count ? 1 : 0);
    if (remainder >= count) remainder -= count;
    if (!unknown?.[i]) {
      for (let j = 0; j < wide; j++) values[place + j] = parity[row & table[j]] ? -first : first;
      there += wide;
    }
    place += wide;
  }
  return { values, there, energy: cosine / (1 - cosine) };
}

/**
 * Return 1 for each slice whose window contains bits of `lost` bytes.
 *
 * @param {Span[]} lost
 * @param {number} slices
 * @param {number} count
 */
function clouded(lost, slices, count) {
  const unknown = new Uint8Array(slices);
  for (const [first, end] of lost) {
    const start = 8 * first - MEMORY;
    unknown.fill(1, Math.max(0, start), 8 * end);
    // The windows of the last slices end with the first bits.
    if (start < 0) unknown.fill(1, Math.max(0, count + start), Math.max(0, count + 8 * end));
  }
  return unknown;
}

/**
 * Return bit `place`, most significant first; 0 for what has not arrived.
 *
 * @param {Uint8Array} payload
 * @param {number} place
 */
function bit(payload, place) {
  return (payload[place >>> 3] >>> (7 - (place & 7))) & 1;
}

/**
 * Return the expected squared cosine between y and the shift for `bits` over `dims`.
 *
 * An ideal code reaches 1 - 2^(-2 bits / dims).  Both ends derive the scale of a sample from this
 * value, so it is part of the format.
 *
 * @param {number} bits
 * @param {number} dims
 */
export function cosineSquared(bits, dims) {
  const rate = Math.min(bits, dims) / dims;
  return 1 - 2 ** ((-2 * rate) / excess(bits, dims));
}

/**
 * Return the factor by which this code needs more bits than an ideal one for the same cosine.
 *
 * It was measured on Gaussian shifts: a constant, the loss of tail-biting with few bits, and the
 * loss of signs against Gaussian codewords at high rates.
 *
 * @param {number} bits
 * @param {number} dims
 */
function excess(bits, dims) {
  const rate = Math.min(bits, dims) / dims;
  return 1.053 + Math.min(160 / bits ** 2, 0.25) + 0.3 * rate ** 4;
}

/** @type {{ table: Uint16Array, parity: Uint8Array } | null} */
let drawn = null;

/** Return the generators, 12 bits for each dimension of a slice, and the parities of 12 bits. */
function codebook() {
  if (!drawn) {
    const table = Uint16Array.from(
      words(0, Purpose.CODEBOOK, 0, WIDEST_SLICE),
      (word) => word >>> (32 - ROW_BITS),
    );
    const parity = new Uint8Array(ROWS);
    for (let row = 1; row < ROWS; row++) parity[row] = parity[row >> 1] ^ (row & 1);
    drawn = { table, parity };
  }
  return drawn;
}
