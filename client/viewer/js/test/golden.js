/** The vectors that Python writes, and how to compare with them. */

import { readFileSync } from "node:fs";

/**
 * Return what a file of tests/vectors holds.
 *
 * @param {string} name
 */
export function golden(name) {
  const file = new URL(`../../../../tests/vectors/${name}`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8"));
}

/** @param {string} digits */
export function bytes(digits) {
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

/** @param {Uint8Array} data */
export function hex(data) {
  return Buffer.from(data).toString("hex");
}
