/**
 * Where the pictures come from that streams start from.
 *
 * @module
 */

import { PeerError } from "./errors.js";
import { Code, MAX_STREAM } from "./session/messages.js";
import { PrefixHash } from "./session/prefix.js";
import { starts } from "./starts.js";

/** @typedef {import("./container/reference.js").Named} Named */
/** @typedef {import("./starts.js").Find} Find */

/** The most bytes that are fetched of a file. */
export const MOST_FETCHED = MAX_STREAM;

const STREAM = /\.dfc$/i;
/** What no name of a file in the same folder has: other folders, hidden files, control characters. */
const ELSEWHERE = /^\.|^$|[/\\]|[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
/** A picture cannot be shown without what it starts from, so that comes first. */
const WEIGHT = 100;

/**
 * Return what a Decoder asks for the pictures that streams start from.
 *
 * `find` returns the bytes that a reference names, or null; they are checked.  Bytes that begin with
 * "DFC" are a stream, decoded by one of `models`; others are a picture file, which `image` reads: in
 * browsers it may be left out.  Rejects with MissingReference if nothing that is found is it.
 *
 * @param {import("./codec/decoder.js").Models} models
 * @param {Find} find
 * @param {Omit<import("./starts.js").Options, "remembered">} [options]
 */
export function references(models, find, options) {
  return starts(models, (named) => checked(find, named), options);
}

/**
 * Return the bytes that a reference names; null if `find` returns others, or none.
 *
 * @param {Find} find
 * @param {Named} named
 * @param {AbortSignal} [signal]
 */
export async function checked(find, named, signal) {
  return matching(named, await find(named, signal));
}

/**
 * Return the part of `data` that a reference names; null if it does not begin with that.
 *
 * @param {Named} named
 * @param {Uint8Array | null | undefined} data
 */
function matching({ size, digest }, data) {
  const begins = data?.subarray(0, size);
  // Not by crypto.subtle, which pages loaded by plain HTTP lack.
  return begins?.length === size && String(new PrefixHash(begins)) === digest ? begins : null;
}

/**
 * Return the address of a file in the folder of `url`; null if the name leads elsewhere.
 *
 * @param {string} name
 * @param {URL} url
 */
export function beside(name, url) {
  if (!["http:", "https:"].includes(url.protocol) || ELSEWHERE.test(name)) return null;
  const there = new URL(encodeURIComponent(name), url);
  return there.href.startsWith(new URL("./", url).href) ? there : null;
}

/**
 * Return a sender's name for the picture with whose stream that of `image` starts; null if the name
 * that the stream says is none of a stream beside it.
 *
 * It is in the same folder of names, and without ".dfc" unless `image` has that, too.
 *
 * @param {string} name
 * @param {string} image
 */
export function pictureBeside(name, image) {
  if (ELSEWHERE.test(name) || !STREAM.test(name)) return null;
  const folder = image.slice(0, image.lastIndexOf("/") + 1);
  return folder + (STREAM.test(image) ? name : name.replace(STREAM, ""));
}

/**
 * Returns what is here of the stream of a picture of the same sender, by its name.
 *
 * @typedef {(name: string) => Uint8Array | null | undefined} Here
 */

/**
 * Return what finds the pictures that the stream of `image` starts from: `here`, or by `get`.
 *
 * @param {string} image
 * @param {Here | undefined} here
 * @param {(named: Named, picture: string | null, held: Uint8Array, signal?: AbortSignal) =>
 *   Promise<Uint8Array | null>} get  for pictures of the same sender; null is for other files
 * @returns {Find}
 */
export function nearest(image, here, get) {
  return async (named, signal) => {
    if (named.size > MOST_FETCHED) return null;
    const picture = pictureBeside(named.name, image);
    const held = (picture !== null && here?.(picture)) || new Uint8Array();
    const known = matching(named, held);
    if (known) return known;
    return get(named, picture, held.length < named.size ? held : new Uint8Array(), signal);
  };
}

/**
 * Return what finds the pictures that the stream of `image` starts from, at its sender.
 *
 * @param {Pick<import("./sender.js").Sender, "open">} sender
 * @param {string} image
 * @param {Here} [here]
 * @returns {Find}
 */
export function ofSender(sender, image, here) {
  return nearest(image, here, async ({ size }, picture, held, signal) => {
    if (picture === null) return null;
    try {
      return await received(sender, picture, size, held, signal);
    } catch (error) {
      const replaced = error instanceof PeerError && error.code === Code.PREFIX_MISMATCH;
      if (!replaced || !held.length) throw error;
      return received(sender, picture, size, new Uint8Array(), signal);
    }
  });
}

/**
 * Return the first `size` bytes of a stream of which some are `held`; null if there are fewer.
 *
 * @param {Pick<import("./sender.js").Sender, "open">} sender
 * @param {string} picture
 * @param {number} size
 * @param {Uint8Array} held
 * @param {AbortSignal} [signal]
 */
async function received(sender, picture, size, held, signal) {
  const delivery = sender.open(picture, { bytes: size, weight: WEIGHT, held });
  const stop = () => delivery.stop();
  signal?.addEventListener("abort", stop);
  try {
    return await gathered(delivery, size, held);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/**
 * Return the first `size` bytes of what is `held` and of pieces after that; null if there are fewer.
 *
 * @param {AsyncIterable<Uint8Array>} pieces
 * @param {number} size
 * @param {Uint8Array} held
 */
async function gathered(pieces, size, held) {
  const whole = new Uint8Array(size);
  whole.set(held);
  let { length } = held;
  for await (const piece of pieces) {
    const fitting = piece.subarray(0, size - length);
    whole.set(fitting, length);
    length += fitting.length;
    if (length === size) return whole;
  }
  return null;
}
