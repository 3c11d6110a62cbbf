/**
 * Pictures that streams start from, made of the bytes that name them.
 *
 * @module
 */

import { MOST_PIXELS } from "./codec/beginning.js";
import { Decoder } from "./codec/decoder.js";
import { MissingReference, StreamError, Superseded } from "./errors.js";
import { readImage } from "./image.js";

/** @typedef {import("./codec/beginning.js").References} References */
/** @typedef {import("./codec/decoder.js").Models} Models */
/** @typedef {import("./container/reference.js").Named} Named */
/** @typedef {import("./diffusion/reference.js").Picture} Picture */

/**
 * Returns the bytes that a reference names, or null if it does not have them.  The `signal` is
 * aborted when nobody waits for them any more.
 *
 * @typedef {(reference: Named, signal?: AbortSignal) =>
 *   Uint8Array | null | Promise<Uint8Array | null>} Find
 */

/**
 * `image` reads picture files, by default as browsers do, into RGBA; `mostPixels` is the limit of
 * each picture, `mostBytes` that of all bytes that are found for one.  Those who have the same
 * `remembered` and `underway` share pictures that were made before, and those that are being made.
 *
 * @typedef {object} Options
 * @property {(data: Uint8Array, mostPixels: number) => Picture | Promise<Picture>} [image]
 * @property {number} [mostPixels]
 * @property {number} [mostBytes]
 * @property {import("./remembered.js").Remembered<Picture>} [remembered]
 * @property {Map<string, Promise<Picture>>} [underway]
 */

/** So many references of references of ... are followed. */
export const MOST_STEPS_BACK = 100;

const MAGIC = [0x44, 0x46, 0x43];

/**
 * Return what makes the pictures that streams start from.
 *
 * `find` returns bytes that have been checked.  A stream is shown as mmse, by one of `models`; what
 * it starts from is found the same way.
 *
 * @param {Models} models
 * @param {Find} find
 * @param {Options} [options]
 * @param {number} [left] references of references that are still followed
 * @returns {References}
 */
export function starts(models, find, options = {}, left = MOST_STEPS_BACK) {
  const { remembered, underway } = options;
  return async ({ name, size, digest }) => {
    const key = `${digest} ${size}`;
    for (;;) {
      const known = remembered?.get(key);
      if (known) return known;
      const other = underway?.get(key);
      if (!other) break;
      try {
        return await other;
      } catch (error) {
        // Who asked first does not want it any more.
        if (!(error instanceof Superseded)) throw error;
      }
    }
    const making = made({ name, size, digest }, models, find, options, left);
    underway?.set(key, making);
    try {
      const picture = await making;
      remembered?.set(key, picture);
      return picture;
    } finally {
      underway?.delete(key);
    }
  };
}

/**
 * @param {Named} named
 * @param {Models} models
 * @param {Find} find
 * @param {Options} options
 * @param {number} left
 * @returns {Promise<Picture>}
 */
async function made(named, models, find, options, left) {
  const { image = readImage, mostPixels = MOST_PIXELS, mostBytes = Infinity } = options;
  if (named.size > mostBytes) throw new MissingReference(named, "it takes too many bytes");
  const data = await find(named);
  if (!data) throw new MissingReference(named);
  if (MAGIC.some((byte, i) => data[i] !== byte)) return image(data, mostPixels);
  if (!left) {
    throw new StreamError(`more than ${MOST_STEPS_BACK} streams that start from one another`);
  }
  const less = { ...options, mostBytes: mostBytes - named.size };
  const references = starts(models, find, less, left - 1);
  const decoder = new Decoder(models, { mostPixels, references });
  await decoder.feed(data);
  return decoder.render();
}
