/** Streams that start from pictures, and what finds and reads those. */

import { crc32c } from "../src/crc32c.js";
import { PrefixHash } from "../src/session/prefix.js";
import { bytes } from "./golden.js";
import { VECTORS, byScale } from "./vectors.js";

export const STARTED = VECTORS.started;

/** Models of the streams, by fingerprint. */
export const MODELS = new Map([["00000002", { fingerprint: "00000002", denoiser: byScale }]]);

/**
 * Return a stream that the vectors have, by its name, and the files that it starts from.
 *
 * @param {string} name
 */
export function started(name) {
  const { data, files, ...known } = STARTED.find((/** @type {any} */ one) => one.name === name);
  return { ...known, data: bytes(data), files: files.map(bytes) };
}

/**
 * Read a picture file of the kind PPM, as Python writes it.
 *
 * @param {Uint8Array} file
 */
export function ppm(file) {
  const head = /^P6\s(\d+) (\d+)\s255\s/.exec(Buffer.from(file.subarray(0, 32)).toString("latin1"));
  if (!head) throw new TypeError("no PPM file");
  const [width, height] = [Number(head[1]), Number(head[2])];
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0, from = head[0].length; i < pixels.length; i += 4, from += 3) {
    pixels.set(file.subarray(from, from + 3), i);
  }
  return { pixels, width, height };
}

/**
 * Return the header of a stream that starts from a file, and trusts it everywhere.
 *
 * @param {string} model
 * @param {string} name
 * @param {Uint8Array} file of up to 16,383 bytes
 * @param {number[]} [sides] the bytes of its width and height, by default 93x61 pixels
 */
export function startingFrom(model, name, file, sides = [93, 61]) {
  const digest = bytes(String(new PrefixHash(file)));
  const said = new TextEncoder().encode(name);
  const body = [0x44, 0x46, 0x43, 0x40, ...bytes(model), ...sides, 0, 153];
  body.push((file.length & 0x7f) | 0x80, file.length >> 7, ...digest, said.length, ...said);
  body.push(0, 0, 0, 0, 3, 0x6f, 0x6f, 0x3f);
  const crc = crc32c(Uint8Array.from(body));
  return Uint8Array.of(...body, crc & 0xff, (crc >> 8) & 0xff);
}
