/**
 * Reads a stream as it arrives, in pieces of any size.
 *
 * @module
 */

import { crc32c } from "../crc32c.js";
import { CorruptStream } from "../errors.js";
import { MOST_RECORD, ofClip, parseRecord } from "./clip.js";
import {
  ABOUT_TAG,
  Before,
  CHECK_DUE,
  CHECK_SIZE,
  CHECK_TAG,
  MOST_ABOUT,
  parseHeader,
  parseStep,
  segments,
} from "./grammar.js";

/**
 * A payload event holds bytes of the last reported step's payload, in order, and lost says how many
 * are missing there.  A check's `good` says whether the bytes since the last check are undamaged; it
 * is true if some of them are lost.  Facts about the picture have been checked;
 * docs/format.md says what they mean.
 *
 * @typedef {{ type: "header", header: import("./grammar.js").Header }
 *   | { type: "step", step: import("./grammar.js").Step }
 *   | { type: "payload", data: Uint8Array }
 *   | { type: "lost", size: number }
 *   | { type: "check", offset: number, good: boolean }
 *   | { type: "about", facts: Uint8Array }
 *   | import("./clip.js").Turn | import("./clip.js").Motion | import("./clip.js").Second} Event
 */

/**
 * What is lost, from its first byte to the one after its last.
 *
 * @typedef {[number, number]} Span
 */

// Of the elements other than headers, facts and payloads, the longest has 7 bytes.
const LONGEST = 32;

/**
 * Parse a stream fed in pieces into events: header, then step, payload, check and about.
 *
 * A stream of several pictures has turn, motion and second, too (clip.js).
 * A step's payload is complete when it has as many bytes as the step says.  With `damaged`, a
 * failed check is reported and reading goes on; without it, a failed check throws.  Bytes of payloads
 * and checks may be skipped, if they are lost.
 */
export class StreamReader {
  /** @type {import("./grammar.js").Header | null} */
  header = null;
  /** Bytes fed so far, and bytes skipped. */
  received = 0;
  /** Bytes, from the start, that a check (or the header's own) has confirmed. */
  verified = 0;
  /** Bytes parsed so far. */
  offset = 0;
  /** The offset of the last reported step. */
  began = 0;

  #damaged;
  /** @type {Uint8Array} */
  #pending = new Uint8Array(0);
  #place = 0;
  #crc = 0;
  #unchecked = 0;
  #before = new Before();
  /** The state before the next step of each picture that the stream has left. @type {Map<number, Before>} */
  #befores = new Map();
  #picture = 0;
  /** @type {Iterator<number, void>} */
  #segments = segments(0);
  #left = 0;
  #checkDue = false;
  #sound = true;
  /** Whether facts about the picture may still arrive. */
  #about = false;
  /** What was skipped and not yet read over, as offsets in the stream. @type {Span[]} */
  #lost = [];
  /** Whether bytes since the last check are lost. */
  #unknown = false;

  /** @param {{ damaged?: boolean }} [options] */
  constructor({ damaged = false } = {}) {
    this.#damaged = damaged;
  }

  /**
   * Read over `size` bytes that are lost, as feed() reads over those that are not.
   *
   * They may belong to payloads, to checks and to facts, which are passed over; a lost part of a
   * header or of the description of a step throws CorruptStream.
   *
   * @param {number} size
   */
  skip(size) {
    this.#lost.push([this.received, this.received + size]);
    return this.feed(new Uint8Array(size));
  }

  /**
   * Take more bytes, and yield the events that they complete.
   *
   * The bytes must not change while events are taken.  Throws NotAStream, UnsupportedStream or
   * CorruptStream, after which the reader cannot be used.
   *
   * @param {Uint8Array} data
   * @returns {Generator<Event, void>}
   */
  *feed(data) {
    this.received += data.length;
    const rest = this.#pending.subarray(this.#place);
    if (rest.length) {
      this.#pending = new Uint8Array(rest.length + data.length);
      this.#pending.set(rest);
      this.#pending.set(data, rest.length);
    } else {
      this.#pending = data;
    }
    this.#place = 0;
    while (this.#place < this.#pending.length) {
      while (this.#lost.length && this.#lost[0][1] <= this.offset) this.#lost.shift();
      const event = this.#next();
      if (!event) break;
      yield event;
    }
    // Copy, because the caller may reuse its memory for the next piece.
    this.#pending = this.#pending.slice(this.#place);
    this.#place = 0;
  }

  /** @returns {Event | null} */
  #next() {
    const data = this.#pending.subarray(this.#place, this.#place + LONGEST);
    if (!this.header) {
      const parsed = parseHeader(this.#pending.subarray(this.#place));
      if (!parsed) return null;
      this.header = parsed.header;
      this.#needKnown(parsed.size);
      this.#take(parsed.size);
      this.verified = parsed.size;
      this.#about = parsed.header.about;
      return { type: "header", header: parsed.header };
    }
    if (this.#left && !this.#checkDue) return this.#payload();
    if (this.#checkDue) return this.#check(data);
    this.#needKnown(1);
    if (data[0] === CHECK_TAG) return this.#check(data);
    if (data[0] === ABOUT_TAG && this.#about) return this.#facts();
    if (this.header.clip && ofClip(data[0])) return this.#ofClip(this.header.clip.pictures);
    const parsed = parseStep(data, this.#before, this.offset);
    if (!parsed) return null;
    this.#needKnown(parsed.size);
    this.began = this.offset;
    this.#take(parsed.size);
    this.#before = this.#before.after(parsed.step);
    this.#segments = segments(parsed.step.length);
    this.#left = this.#segments.next().value ?? 0;
    return { type: "step", step: parsed.step };
  }

  /**
   * Return a record that only streams of several pictures have.
   *
   * @param {number} pictures
   * @returns {Event | null}
   */
  #ofClip(pictures) {
    const data = this.#pending.subarray(this.#place, this.#place + MOST_RECORD);
    const parsed = parseRecord(data, pictures, this.offset);
    if (!parsed) return null;
    const { record, size } = parsed;
    this.#needKnown(size);
    this.#take(size);
    this.#checkDue = this.#unchecked >= CHECK_DUE;
    if (record.type === "turn") {
      this.#befores.set(this.#picture, this.#before);
      this.#picture = record.picture;
      this.#before = this.#befores.get(this.#picture) ?? new Before();
    }
    return record;
  }

  /** @returns {Event} */
  #payload() {
    const known = this.#known();
    const here = known || this.#lost[0][1] - this.offset;
    const data = this.#take(Math.min(this.#left, this.#pending.length - this.#place, here));
    this.#left -= data.length;
    if (!this.#left) {
      this.#left = this.#segments.next().value ?? 0;
      this.#checkDue = this.#unchecked >= CHECK_DUE;
    }
    if (known) return { type: "payload", data };
    this.#unknown = true;
    return { type: "lost", size: data.length };
  }

  /** How many bytes from here on are not lost, as far as is known. */
  #known() {
    return this.#lost.length ? Math.max(0, this.#lost[0][0] - this.offset) : Infinity;
  }

  /** @param {number} size */
  #needKnown(size) {
    if (this.#known() < size) {
      throw new CorruptStream("bytes that say what follows are lost", this.offset);
    }
  }

  /**
   * @param {Uint8Array} data
   * @returns {Event | null}
   */
  #check(data) {
    const offset = this.offset;
    if (this.#known() > 0 && data[0] !== CHECK_TAG)
      throw new CorruptStream("a check should stand here", offset);
    if (data.length < CHECK_SIZE) return null;
    const unknown = this.#unknown || this.#known() < CHECK_SIZE;
    const good = unknown || (data[1] | (data[2] << 8)) === (this.#crc & 0xffff);
    if (!good && !this.#damaged) {
      throw new CorruptStream("the stream is damaged: a check failed", offset);
    }
    this.#take(CHECK_SIZE);
    this.#crc = this.#unchecked = 0;
    this.#checkDue = this.#unknown = false;
    this.#sound &&= good && !unknown;
    if (this.#sound) this.verified = this.offset;
    return { type: "check", offset, good };
  }

  /**
   * Return facts if they are undamaged, else a failed check.
   *
   * @returns {Event | null}
   */
  #facts() {
    const data = this.#pending.subarray(this.#place);
    if (data.length < 2) return null;
    this.#needKnown(2);
    const length = data[1];
    if (length < 1 || length > MOST_ABOUT) {
      throw new CorruptStream(`facts of ${length} bytes about a picture`, this.offset);
    }
    if (data.length < 2 + length + CHECK_SIZE) return null;
    this.#about = false;
    const unknown = this.#known() < 2 + length + CHECK_SIZE;
    this.#unknown ||= unknown;
    const facts = this.#take(2 + length).slice(2);
    const check = this.#check(data.subarray(2 + length));
    return check?.type === "check" && check.good && !unknown ? { type: "about", facts } : check;
  }

  /** @param {number} size */
  #take(size) {
    const piece = this.#pending.subarray(this.#place, this.#place + size);
    this.#place += size;
    this.#crc = crc32c(piece, this.#crc);
    this.offset += size;
    this.#unchecked += size;
    return piece;
  }
}
