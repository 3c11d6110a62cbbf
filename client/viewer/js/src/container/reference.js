/**
 * What the header of a stream says of the picture that the stream starts from.
 *
 *     reference = size:varint digest:8 bytes length:u8 name shift:varint shift:varint
 *                 cut:varint cut:varint length:varint trust
 *
 * A reference is a picture that the receiver has already: a thumbnail, the picture before of the
 * same camera, the beginning of a stream.  It is named by its bytes: `size` of them, and the first
 * eight of their SHA-256.  The name, which may be empty, helps to find it and proves nothing.  The
 * shifts, down and to the right, say by how many pixels the reference has moved, and the cuts how
 * many of its rows and columns are then beyond the picture, below and to the right; so a picture may
 * be a part of its reference.  Shifts n >= 0 are stored as 2 n and n < 0 as -2 n - 1.  Trust says how
 * well the reference describes each scale and each place: diffusion/trust.js defines it.
 *
 * @module
 */

import { CorruptStream } from "../errors.js";
import { parseVarint } from "./varint.js";

/** Bytes of a digest. */
const DIGEST = 8;
/** The farthest that a reference may be moved, and the most that may be cut off, in pixels. */
const MOST_SHIFT = 65_535;
/** Most bytes that say how far a reference is trusted; there is at least one. */
const MOST_TRUST = 4096;
/** The largest file, in bytes, that may be a reference. */
const MOST_SIZE = 2 ** 30;

/**
 * Which bytes a reference is made of: the first `size` of a file, the `digest` of these (the first
 * eight bytes of their SHA-256, in hex), and the `name` of the file, which may be empty.
 *
 * @typedef {{ name: string, size: number, digest: string }} Named
 */

/**
 * The picture that a stream starts from: `shift` is by how many pixels it has moved, down and to
 * the right, `cut` how many of its rows and columns the picture does not show, at the bottom and the
 * right, and `trust` says how far it is trusted, as diffusion/trust.js reads it.
 *
 * @typedef {Named & { shift: [number, number], cut: [number, number], trust: Uint8Array }}
 *   Reference
 */

/**
 * Return the reference at `place` of a header and the place after it.  Throws CorruptStream.
 *
 * @param {Uint8Array} data
 * @param {number} place
 * @returns {{ reference: Reference, place: number } | null}
 */
export function parseReference(data, place) {
  const begin = place;
  const size = parseVarint(data, place);
  if (!size || data.length < size.place + DIGEST + 1) return null;
  const from = size.place + DIGEST + 1;
  const digest = hex(data.subarray(size.place, from - 1));
  const to = from + data[from - 1];
  if (data.length < to) return null;
  const name = new TextDecoder("utf-8", { ignoreBOM: true }).decode(data.subarray(from, to));
  const down = parseVarint(data, to);
  const right = down && parseVarint(data, down.place);
  const below = right && parseVarint(data, right.place);
  const beside = below && parseVarint(data, below.place);
  const known = beside && parseVarint(data, beside.place);
  if (!known) return null;
  /** @type {[number, number]} */
  const shift = [unfolded(down.value), unfolded(right.value)];
  /** @type {[number, number]} */
  const cut = [below.value, beside.value];
  const far = Math.max(...shift.map(Math.abs), ...cut);
  if (size.value < 1 || size.value > MOST_SIZE || far > MOST_SHIFT) {
    throw new CorruptStream("the header names an impossible reference", begin);
  }
  if (known.value < 1 || known.value > MOST_TRUST) {
    throw new CorruptStream(`the header says in ${known.value} bytes what to trust`, begin);
  }
  const end = known.place + known.value;
  if (data.length < end) return null;
  const trust = data.slice(known.place, end);
  return { reference: { name, size: size.value, digest, shift, cut, trust }, place: end };
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {number} value */
function unfolded(value) {
  return value % 2 ? -(value + 1) / 2 : value / 2;
}
