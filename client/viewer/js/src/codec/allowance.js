/**
 * Limits how much computing a stream can cause by its bytes, which come from outside.
 *
 * @module
 */

import { CorruptStream } from "../errors.js";

/** Pixels that may be evaluated in any case ... */
export const FREE = 2 ** 18;
/** ... and for each byte that has arrived. */
export const PER_BYTE = 2048;

/**
 * Throw CorruptStream for a step at `offset` if the steps before it took too much: `work` pixels.
 *
 * A step's own cost counts, with its bytes, at the next one.
 *
 * @param {number} work
 * @param {number} offset
 */
export function check(work, offset) {
  if (work > FREE + PER_BYTE * offset) {
    throw new CorruptStream("more to compute than so few bytes are worth", offset);
  }
}
