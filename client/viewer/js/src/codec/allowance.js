/**
 * How much a stream may have computed for its bytes, which come from somebody else.
 *
 * @module
 */

import { CorruptStream } from "../errors.js";

/** Pixels that may be evaluated before anything counts. */
export const FREE = 2 ** 18;
/** ... and for every byte that has arrived. */
export const PER_BYTE = 2048;

/**
 * Throw CorruptStream for a step at `offset` if those before it were `work` pixels' worth.
 *
 * What a step itself costs is charged with its bytes, to the next one.
 *
 * @param {number} work
 * @param {number} offset
 */
export function check(work, offset) {
  if (work > FREE + PER_BYTE * offset) {
    throw new CorruptStream("more to compute than so few bytes are worth", offset);
  }
}
