/**
 * What is known of one stream from the packets that have arrived.
 *
 * @module
 */

import { crc32c } from "../crc32c.js";
import { StreamError } from "../errors.js";
import { solved } from "./erasure.js";
import { HEAD, Kind } from "./grammar.js";
import { parseHead, records } from "./text.js";

/** @typedef {import("./erasure.js").Repair} Repair */
/** @typedef {import("./grammar.js").Packet} Packet */
/** @typedef {import("./text.js").Head} Head */

/**
 * A part of a stream: bytes, or how many are missing.
 *
 * @typedef {Uint8Array | number} Part
 */

/** So many equations more than pieces are missing are tried. */
const SPARE = 2;

/**
 * The pieces of one stream, those that arrived and those that repairs tell.
 *
 * It holds each piece and each repair once, and at most `mostBytes` of them.
 */
export class Gathered {
  /** Which stream it is, 0 to 65,535. */
  identity;
  /** Bytes of a packet. */
  size;
  /** Packets that told nothing new. */
  duplicates = 0;
  /** Packets that have arrived, each counted once. */
  packets = 0;
  #piece;
  #most;
  /** @type {Map<number, Uint8Array>} */
  #pieces = new Map();
  /** @type {Map<number, Repair>} */
  #repairs = new Map();
  /** @type {Set<number>} */
  #solved = new Set();
  /** @type {Head | null} */
  #head = null;

  /** @param {number} identity @param {number} size @param {number} mostBytes */
  constructor(identity, size, mostBytes) {
    this.identity = identity;
    this.size = size;
    this.#piece = size - HEAD;
    this.#most = mostBytes;
  }

  /** How many pieces the stream has; null if that is not known. */
  get total() {
    return this.#head && Math.ceil(this.#head.total / this.#piece);
  }

  /** How many pieces are known. */
  get pieces() {
    return this.#pieces.size;
  }

  /** Bytes of the stream that are known; of its last piece, those of a whole one. */
  get bytes() {
    return this.#pieces.size * this.#piece;
  }

  /** How many pieces are missing; null if that is not known. */
  get missing() {
    return this.total === null ? null : this.total - this.#pieces.size;
  }

  /** Whether the whole stream is there. */
  get complete() {
    return this.missing === 0;
  }

  /** The stream's bytes before the first one that is missing. */
  get prefix() {
    const head = this.#head;
    if (!head) return new Uint8Array();
    const known = this.#text();
    const before = known.subarray(head.place, head.place + head.begin);
    return joined([before, known.subarray(head.first, head.total)]);
  }

  /**
   * Take a piece or a repair, and return whether it tells anything new.
   *
   * @param {Packet} packet of the size of this stream's packets
   */
  take({ kind, place, draw, window, body }) {
    const { total } = this;
    const piece = kind === Kind.PIECE;
    const known = piece
      ? this.#pieces.has(place)
      : this.#repairs.has(place) || !this.#lacking(window).length;
    const beyond = total !== null && (piece ? place >= total : window > total);
    this.duplicates += Number(known);
    const held = (this.#pieces.size + this.#repairs.size + 1) * this.#piece;
    if (known || beyond || held > this.#most) return false;
    this.packets += 1;
    if (piece) this.#pieces.set(place, body);
    else this.#repairs.set(place, { window, draw, body });
    this.#solve();
    this.#readHead();
    if (this.missing === 0 && (crc32c(this.#text()) & 0xffff) !== this.identity) this.#distrust();
    return true;
  }

  /**
   * Return the stream as far as it can be read: bytes, and how many are missing in between.
   *
   * Missing bytes belong to payloads, checks and facts: a decoder can do without them.
   *
   * @returns {Part[]}
   */
  parts() {
    const [head, prefix] = [this.#head, this.prefix];
    const text = this.#text();
    if (!head || text.length < head.first) return prefix.length ? [prefix] : [];
    const [data, known] = [new Uint8Array(head.size), new Uint8Array(head.size)];
    let end = prefix.length;
    for (const [number, piece] of this.#pieces) {
      const place = number * this.#piece;
      if (place < head.first) continue; // it is in the prefix
      const first = place - head.place - head.length;
      const kept = piece.subarray(0, Math.max(0, head.size - first));
      end = Math.max(end, first + kept.length);
      data.set(kept, first);
      known.fill(1, first, first + kept.length);
    }
    data.set(prefix);
    known.fill(1, 0, prefix.length);
    const chart = text.subarray(head.place + head.begin, head.first);
    let ahead = head.size;
    for (const { place, said } of records(prefix.subarray(0, head.begin), chart, head.size)) {
      if (!said.length) ahead = place;
      const last = Math.min(head.size, place + said.length);
      if (last <= place) continue;
      data.set(said.subarray(0, last - place), place);
      known.fill(1, place, last);
    }
    return runs(data.subarray(0, end), known.subarray(0, end), ahead);
  }

  /** Return the text up to the first piece that is missing. */
  #text() {
    const run = [];
    for (let piece; (piece = this.#pieces.get(run.length));) run.push(piece);
    return joined(run);
  }

  /** @param {number} window */
  #lacking(window) {
    const missing = [];
    for (let number = 0; number < window; number++) {
      if (!this.#pieces.has(number)) missing.push(number);
    }
    return missing;
  }

  /** Compute what pieces the repairs tell, by windows, the smallest first. */
  #solve() {
    for (;;) {
      for (const [place, { window }] of this.#repairs) {
        if (!this.#lacking(window).length) this.#repairs.delete(place);
      }
      const all = [...this.#repairs.values()];
      const windows = [...new Set(all.map(({ window }) => window))].sort((a, b) => a - b);
      let found = null;
      for (const widest of windows) {
        const missing = this.#lacking(widest);
        const usable = all.filter(({ window }) => window <= widest);
        if (usable.length < missing.length) continue;
        found = solved(missing, usable.slice(0, missing.length + SPARE), this.#pieces);
        if (found) break;
      }
      if (!found) return;
      for (const [number, piece] of found) {
        this.#pieces.set(number, piece);
        this.#solved.add(number);
      }
    }
  }

  #readHead() {
    if (this.#head || !this.#pieces.has(0)) return;
    try {
      const head = parseHead(this.#text());
      if (!head) return;
      if (head.total > this.#most || head.first > this.#most) {
        this.#distrust();
        return;
      }
      this.#head = head;
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#distrust();
      return;
    }
    const total = Number(this.total);
    for (const number of this.#pieces.keys()) if (number >= total) this.#pieces.delete(number);
    for (const [place, { window }] of this.#repairs) {
      if (window > total) this.#repairs.delete(place);
    }
  }

  /** Forget what cannot be right: what was computed, or, if nothing was, all. */
  #distrust() {
    for (const number of [...(this.#solved.size ? this.#solved : this.#pieces.keys())]) {
      this.#pieces.delete(number);
    }
    this.#repairs.clear();
    this.#solved.clear();
    this.#head = null;
    this.#readHead();
  }
}

/**
 * Return runs of known bytes, and the sizes of the gaps between them.
 *
 * Gaps that reach beyond `last` end it: what stands there may say what follows.
 *
 * @param {Uint8Array} data
 * @param {Uint8Array} known 1 for each known byte
 * @param {number} last
 */
function runs(data, known, last) {
  /** @type {Part[]} */
  const parts = [];
  for (let place = 0; place < data.length;) {
    const gap = known.indexOf(0, place);
    if (gap !== place) parts.push(data.slice(place, gap < 0 ? undefined : gap));
    if (gap < 0) break;
    place = known.indexOf(1, gap);
    if (place < 0 || place > last) break;
    parts.push(place - gap);
  }
  return parts;
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}
