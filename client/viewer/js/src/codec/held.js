/**
 * A picture that sender and receiver hold before a stream begins.
 *
 * @module
 */

import { ReferencePicture, fitted } from "../diffusion/reference.js";
import { Trust } from "../diffusion/trust.js";
import { CorruptStream } from "../errors.js";

/** @typedef {import("../container/reference.js").Reference} Reference */
/** @typedef {import("../diffusion/octaves.js").Size} Size */
/** @typedef {import("../diffusion/reference.js").Picture} Picture */

/**
 * Return how far a stream trusts its reference; null if it has none.  Throws CorruptStream if what
 * it says makes no sense.
 *
 * @param {{ reference: Reference | null }} header
 * @param {Size[]} sizes those of the octaves of its picture
 */
export function trusted({ reference }, sizes) {
  return reference && understood(() => Trust.parse(reference.trust, sizes));
}

/**
 * Return the reference of a stream of whose picture the octaves have `sizes`.  Throws CorruptStream
 * if what the stream says of it makes no sense.
 *
 * @param {Reference} said
 * @param {Picture} picture
 * @param {Size[]} sizes
 */
export function found(said, picture, sizes) {
  return understood(() => {
    const trust = Trust.parse(said.trust, sizes);
    return new ReferencePicture(fitted(picture, sizes, said.shift, said.cut), trust);
  });
}

/**
 * Return what `read` does; where that throws RangeError, throw CorruptStream instead.
 *
 * @template T
 * @param {() => T} read
 * @returns {T}
 */
export function understood(read) {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CorruptStream(error.message, 0);
  }
}
