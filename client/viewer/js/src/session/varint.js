/**
 * Integers of seven bits a byte, lowest first, the top bit meaning "more".
 *
 * @module
 */

const MOST_BYTES = 5;

/**
 * Return the bytes of `value` >= 0.
 *
 * @param {number} value
 */
export function encodeVarint(value) {
  const out = [];
  for (; value > 0x7f; value = Math.floor(value / 0x80)) out.push((value % 0x80) | 0x80);
  out.push(value);
  return out;
}

/**
 * Return the integer at `place` (at most five bytes, below 2^35) and the place after it.
 *
 * Returns null if it does not end before `end`, or has too many bytes.
 *
 * @param {Uint8Array} bytes
 * @param {number} place
 * @param {number} end
 * @returns {[number, number] | null}
 */
export function parseVarint(bytes, place, end) {
  let value = 0;
  for (let index = 0; index < MOST_BYTES && place + index < end; index++) {
    const byte = bytes[place + index];
    // Not by shifts, which end at 32 bits.
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return [value, place + index + 1];
  }
  return null;
}
