/**
 * The beginning of a stream, before its first step: its header, and the reference.
 *
 * @module
 */

import { sizes } from "../diffusion/octaves.js";
import { MissingReference, NotAClip, PictureTooLarge } from "../errors.js";
import { Chain } from "./chain.js";
import { found } from "./held.js";

/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/reference.js").Reference} Reference */
/** @typedef {import("../diffusion/reference.js").Picture} Picture */
/** @typedef {import("../diffusion/reference.js").ReferencePicture} ReferencePicture */

/**
 * Returns the picture that a stream starts from, or rejects with MissingReference.
 *
 * @typedef {(reference: Reference) => Picture | Promise<Picture>} References
 */

/** Most pixels of a picture: a header of 16 bytes can name one of four billion. */
export const MOST_PIXELS = 100_000_000;

/**
 * Throw NotAClip if a stream has several pictures, where one is wanted.
 *
 * @param {Header} header
 */
export function checkSingle({ clip }) {
  if (clip) {
    throw new NotAClip(`the stream is a clip of ${clip.pictures} pictures, not a single one`);
  }
}

/**
 * Throw PictureTooLarge if the header names a picture of more than `most` pixels.
 *
 * @param {Header} header
 * @param {number} most
 */
export function checkSize({ width, height }, most) {
  if (width * height > most) {
    throw new PictureTooLarge(
      `the stream holds a picture of ${width}x${height}, more than the limit of ${most} pixels`,
    );
  }
}

/**
 * Return the picture that a stream starts from, null if it starts from none.
 *
 * Rejects with CorruptStream if what the stream says of it makes no sense, and as `references` does;
 * without those, with MissingReference.
 *
 * @param {Header} header
 * @param {References | null} references
 * @returns {Promise<ReferencePicture | null>}
 */
export async function referenceOf(header, references) {
  const { reference } = header;
  if (!reference) return null;
  if (!references) throw new MissingReference(reference);
  return found(reference, await references(reference), sizes(header));
}

/**
 * Return the chain of the header's picture at its beginning.
 *
 * @param {Header} header
 * @param {import("./estimator.js").Denoiser} denoiser
 * @param {ReferencePicture | null} reference
 */
export function chain(header, denoiser, reference) {
  return Chain.beginning(denoiser, header, reference);
}
