/**
 * Integers of a stream: seven bits a byte, lowest first; the top bit means that more follow.
 *
 * @module
 */

import { CorruptStream } from "../errors.js";

/**
 * Return the varint at `place` (at most five bytes, below 2^35) and the place after it; null if the
 * bytes end within it.
 *
 * @param {Uint8Array} data
 * @param {number} place
 * @param {number} [offset]
 * @returns {{ value: number, place: number } | null}
 */
export function parseVarint(data, place, offset = 0) {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    if (place + index >= data.length) return null;
    const byte = data[place + index];
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, place: place + index + 1 };
  }
  throw new CorruptStream("an integer has too many bytes", offset + place);
}
