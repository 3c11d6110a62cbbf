/**
 * The hash that proves a prefix: two ends that agree on it hold the same bytes.
 *
 * @module
 */

// Not by crypto.subtle, which pages loaded by plain HTTP lack.
import { sha256 } from "@noble/hashes/sha2.js";

const SIZE = 8;

/** A running hash of a stream's bytes: the first eight bytes of their SHA-256, in hex. */
export class PrefixHash {
  #sha256 = sha256.create();

  /** @param {Uint8Array} [bytes] */
  constructor(bytes = new Uint8Array()) {
    this.update(bytes);
  }

  /**
   * Take the bytes that follow.
   *
   * @param {Uint8Array} bytes
   */
  update(bytes) {
    this.#sha256.update(bytes);
  }

  toString() {
    const digest = this.#sha256.clone().digest().subarray(0, SIZE);
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
