/**
 * The bytes of the picture that an address names: of a file of a web server, or from a sender.
 *
 * @module
 */

import { AddressError, PeerError } from "../errors.js";
import { HttpFile } from "./http-file.js";

/** @typedef {import("./http-file.js").Piece} Piece */

/**
 * Yields the bytes from those `held` up to `end`, or to the end of the stream if that is null.
 *
 * @typedef {(held: Uint8Array, end: number | null, signal: AbortSignal) =>
 *   AsyncGenerator<Piece, void, void>} Read
 */

/** Seconds without any progress after which a picture has failed. */
const PATIENCE = 60;

/** Senders that pictures use, and by how many. @type {Map<string, Shared>} */
const senders = new Map();

/** @typedef {{ sender: Promise<import("../sender.js").Sender>, users: number }} Shared */

/**
 * Return what reads the stream at an address: http://, https:// or a relative one, of a file; or
 * ws:// or wss://, of a picture of a sender, which is the part after "//", or after the host.
 *
 * Throws AddressError if it is neither.
 *
 * @param {string} src
 * @param {string} base what relative addresses are relative to
 * @returns {Read}
 */
export function reader(src, base) {
  let url;
  try {
    url = new URL(src, base);
  } catch {
    throw new AddressError(`${src} is not an address`);
  }
  url.hash = "";
  if (["http:", "https:", "blob:"].includes(url.protocol)) {
    const file = new HttpFile(url.href, { patience: PATIENCE });
    return (held, end, signal) => file.read(held.length, end, signal);
  }
  if (["ws:", "wss:"].includes(url.protocol)) {
    const { sender, name } = parted(url);
    return (held, end, signal) => delivered(sender, name, held, end, signal);
  }
  throw new AddressError(`${src} is not the address of a picture: it should be http or ws`);
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
      connect(url, { patience: PATIENCE }),
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
