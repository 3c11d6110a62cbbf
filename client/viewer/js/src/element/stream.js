/**
 * The bytes of the picture that an address names: of a file of a web server, or from a sender.
 *
 * @module
 */

import { AddressError, PeerError } from "../errors.js";
import { HttpFile } from "./http-file.js";

/** @typedef {import("./http-file.js").Piece} Piece */
/** @typedef {import("../container/reference.js").Named} Named */

/**
 * Yields the bytes from those `held` up to `end`, or to the end of the stream if that is null.
 *
 * @typedef {(held: Uint8Array, end: number | null, signal: AbortSignal) =>
 *   AsyncGenerator<Piece, void, void>} Read
 */

/**
 * A stream: what reads it, and what finds the pictures that it starts from.
 *
 * @typedef {{ read: Read, reference: import("../starts.js").Find }} Source
 */

/** Seconds without any progress after which a picture has failed. */
const PATIENCE = 60;

/** Senders that pictures use, and by how many. @type {Map<string, Shared>} */
const senders = new Map();

/** @typedef {{ sender: Promise<import("../sender.js").Sender>, users: number }} Shared */

/**
 * Return the stream at an address: http://, https:// or a relative one, of a file; or
 * ws:// or wss://, of a picture of a sender, which is the part after "//", or after the host.
 *
 * Throws AddressError if it is neither.
 *
 * @param {string} src
 * @param {string} base what relative addresses are relative to
 * @returns {Source}
 */
export function source(src, base) {
  let url;
  try {
    url = new URL(src, base);
  } catch {
    throw new AddressError(`${src} is not an address`);
  }
  url.hash = "";
  if (["http:", "https:", "blob:"].includes(url.protocol)) {
    const file = new HttpFile(url.href, { patience: PATIENCE });
    return {
      read: (held, end, signal) => file.read(held.length, end, signal),
      reference: (named, signal) => fetched(named, url, signal),
    };
  }
  if (["ws:", "wss:"].includes(url.protocol)) {
    const { sender, name } = parted(url);
    return {
      read: (held, end, signal) => delivered(sender, name, held, end, signal),
      reference: (named, signal) => another(named, sender, name, signal),
    };
  }
  throw new AddressError(`${src} is not the address of a picture: it should be http or ws`);
}

/**
 * Return the beginning of a file in the folder of `url`; null if the name leads elsewhere.
 *
 * @param {Named} named
 * @param {URL} url
 * @param {AbortSignal} [signal]
 */
async function fetched({ name, size }, url, signal = new AbortController().signal) {
  // Only here, as below.
  const { MOST_FETCHED, beside } = await import("../references.js");
  const there = beside(name, url);
  if (!there || size > MOST_FETCHED) return null;
  const file = new HttpFile(there.href, { patience: PATIENCE });
  const whole = new Uint8Array(size);
  let length = 0;
  for await (const { at, data } of file.read(0, size, signal)) {
    whole.set(data, at);
    length = at + data.length;
  }
  return whole.subarray(0, length);
}

/**
 * Return the beginning of another stream beside that of `name`; null if there can be none.
 *
 * @param {Named} named
 * @param {string} url
 * @param {string} name
 * @param {AbortSignal} [signal]
 */
async function another(named, url, name, signal) {
  const shared = borrow(url);
  try {
    return await (await shared.sender).references(name)(named, signal);
  } finally {
    giveBack(url, shared);
  }
}

/**
 * Return the address of a sender, and the name of its picture.
 *
 * @param {URL} url
 */
export function parted(url) {
  const path = url.pathname.slice(1);
  const place = path.indexOf("//");
  const below = place < 0 ? "" : `${path.slice(0, place)}/`;
  const picture = place < 0 ? path : path.slice(place + 2);
  let name;
  try {
    name = decodeURIComponent(picture);
  } catch {
    name = "";
  }
  if (!name) throw new AddressError(`${url.href} names no picture: it should be ws://HOST/NAME`);
  return { sender: `${url.protocol}//${url.host}/${below}`, name };
}

/**
 * @param {string} url
 * @param {string} name
 * @param {Uint8Array} held
 * @param {number | null} end
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Piece, void, void>}
 */
async function* delivered(url, name, held, end, signal) {
  const shared = borrow(url);
  try {
    const sender = await shared.sender;
    signal.throwIfAborted();
    const delivery = sender.open(name, { held, ...(end === null ? {} : { bytes: end }) });
    const stop = () => delivery.stop();
    signal.addEventListener("abort", stop);
    try {
      let at = held.length;
      for await (const data of delivery) {
        signal.throwIfAborted();
        yield { at, data };
        at += data.length;
      }
      await delivery.ended;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  } catch (error) {
    const replaced = error instanceof PeerError && error.code === "prefix-mismatch";
    if (!replaced || !held.length) throw error;
    yield* delivered(url, name, new Uint8Array(), end, signal);
  } finally {
    giveBack(url, shared);
  }
}

/** @param {string} url @returns {Shared} */
function borrow(url) {
  let shared = senders.get(url);
  if (!shared) {
    // Only here: pages whose pictures are files need not load it.
    const sender = import("../sender.js").then(({ connect }) =>
      connect(url, { patience: PATIENCE, references: true }),
    );
    shared = { sender, users: 0 };
    senders.set(url, shared);
  }
  shared.users += 1;
  return shared;
}

/** @param {string} url @param {Shared} shared */
function giveBack(url, shared) {
  shared.users -= 1;
  if (shared.users) return;
  if (senders.get(url) === shared) senders.delete(url);
  shared.sender.then(
    (sender) => sender.close(),
    () => {},
  );
}
