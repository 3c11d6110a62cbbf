/**
 * Pictures that streams start from, made of the bytes that name them.
 *
 * @module
 */

import { MOST_PIXELS } from "./codec/beginning.js";
import { Decoder } from "./codec/decoder.js";
import { MissingReference, PictureTooLarge, StreamError, Superseded } from "./errors.js";
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
 * each picture, `mostBytes` that of all bytes that are found for one.  All streams that start from
 * one another may have MOST_BEHIND pixels.  Those who have the same `remembered` and `underway` share
 * pictures that were made before, and those that are being made; these count for nothing.
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
/**
 * Pixels of all streams that start from one another, however few bytes they have: those that a
 * camera of 3840x2160 pixels has between key pictures.
 */
export const MOST_BEHIND = 2 ** 29;

/**
 * What may still come before a stream: so many streams, of so many pixels in all.
 *
 * @typedef {{ streams: number, pixels: number }} Left
 */

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
 * @returns {References}
 */
export function starts(models, find, options = {}) {
  const pixels = Math.max(MOST_BEHIND, options.mostPixels ?? 0);
  return startsWithin(models, find, options, { streams: MOST_STEPS_BACK, pixels });
}

/**
 * @param {Models} models
 * @param {Find} find
 * @param {Options} options
 * @param {Left} left
 * @returns {References}
 */
function startsWithin(models, find, options, left) {
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
 * @param {Left} left
 * @returns {Promise<Picture>}
 */
async function made(named, models, find, options, left) {
  const { image = readImage, mostPixels = MOST_PIXELS, mostBytes = Infinity } = options;
  if (named.size > mostBytes) throw new MissingReference(named, "it takes too many bytes");
  const data = await find(named);
  if (!data) throw new MissingReference(named);
  if (MAGIC.some((byte, i) => data[i] !== byte)) return image(data, mostPixels);
  if (!left.streams) {
    throw new StreamError(`more than ${MOST_STEPS_BACK} streams that start from one another`);
  }
  const less = { ...options, mostBytes: mostBytes - named.size };
  /** @type {References} */
  const references = (reference) =>
    startsWithin(models, find, less, without(left, decoder.header))(reference);
  const decoder = new Decoder(models, { mostPixels, references });
  await decoder.feed(data);
  return decoder.render();
}

/**
 * Return what is left after a stream, given its header.
 *
 * Throws PictureTooLarge if it is none: a chain is followed to its end before anything is rendered, so
 * that it is refused first.
 *
 * @param {Left} left
 * @param {import("./container/grammar.js").Header | null} header
 * @returns {Left}
 */
function without({ streams, pixels }, header) {
  const rest = header ? pixels - header.width * header.height : pixels;
  if (rest < 0) {
    throw new PictureTooLarge("streams that start from one another have too many pixels in all");
  }
  return { streams: streams - 1, pixels: rest };
}
