/**
 * The part of MessagePack that messages use: nil, booleans, numbers, text and arrays.
 *
 * It is our own reader, because the usual ones accept what a sender refuses: text that is not
 * UTF-8, a float in place of an integer, integers that JavaScript would round.
 *
 * @module
 */

/** Most bytes of a text, elements of an array, and depth of nested arrays. */
const MOST_TEXT = 1024;
const MOST_ELEMENTS = 64;
const DEEPEST = 1024;

/** The bytes are not MessagePack within the limits.  Code outside this folder never gets it. */
export class Unreadable extends Error {}

/** A number that was sent as a float: whole or not, it is no integer. */
export class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }
}

/** @typedef {null | boolean | number | bigint | string | Float | unknown[]} Value */

const encoder = new TextEncoder();
// Keep a byte order mark as a character.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Return the bytes of an array of null, booleans, numbers (from 0 up), text and arrays of them.
 *
 * @param {unknown[]} values
 * @returns {number[]}
 */
export function pack(values) {
  /** @type {number[]} */
  const out = [];
  put(out, values);
  return out;
}

/**
 * Return the only value in `bytes` from `start` to their end.
 *
 * Integers beyond 2^53 are BigInts, floats are Floats.  Throws Unreadable.
 *
 * @param {Uint8Array} bytes
 * @param {number} [start]
 * @returns {Value}
 */
export function unpack(bytes, start = 0) {
  const reader = new Reader(bytes, start);
  const value = reader.value(0);
  if (reader.place !== bytes.length) throw new Unreadable("something follows");
  return value;
}

/**
 * @param {number[]} out
 * @param {unknown} value
 */
function put(out, value) {
  if (value === null) out.push(0xc0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") putNumber(out, value);
  else if (typeof value === "string") {
    const bytes = encoder.encode(value);
    if (bytes.length < 32) out.push(0xa0 | bytes.length);
    else putHead(out, 0xd9, bytes.length);
    out.push(...bytes);
  } else if (Array.isArray(value)) {
    if (value.length < 16) out.push(0x90 | value.length);
    else out.push(0xdc, value.length >> 8, value.length & 0xff);
    for (const element of value) put(out, element);
  } else throw new TypeError(`a message cannot hold ${typeof value}`);
}

/**
 * @param {number[]} out
 * @param {number} value
 */
function putNumber(out, value) {
  if (!Number.isInteger(value)) {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    out.push(0xcb, ...new Uint8Array(view.buffer));
  } else if (value < 0x80) out.push(value);
  else putHead(out, 0xcc, value);
}

/**
 * Write a tag, which depends on the size of the number, and the number.
 *
 * @param {number[]} out
 * @param {number} tag
 * @param {number} value
 */
function putHead(out, tag, value) {
  const power = value < 2 ** 8 ? 0 : value < 2 ** 16 ? 1 : value < 2 ** 32 ? 2 : 3;
  out.push(tag + power);
  for (let byte = 2 ** power - 1; byte >= 0; byte--)
    out.push(Math.floor(value / 2 ** (8 * byte)) % 256);
}

class Reader {
  #bytes;
  #view;

  /**
   * @param {Uint8Array} bytes
   * @param {number} start
   */
  constructor(bytes, start) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.place = start;
  }

  /**
   * @param {number} depth how many arrays enclose it
   * @returns {Value}
   */
  value(depth) {
    const tag = this.#view.getUint8(this.#take(1));
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    if (tag >= 0x90 && tag < 0xa0) return this.#array(tag & 0x0f, depth);
    if (tag >= 0xa0 && tag < 0xc0) return this.#text(tag & 0x1f);
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return new Float(this.#view.getFloat32(this.#take(4)));
      case 0xcb:
        return new Float(this.#view.getFloat64(this.#take(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#size(tag - 0xcc);
      case 0xcf:
        return exact(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return exact(this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#size(tag - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#size(tag - 0xdb), depth);
    }
    throw new Unreadable("a map, a byte string, an extension, or nothing at all");
  }

  /**
   * @param {number} size
   * @param {number} depth
   */
  #array(size, depth) {
    if (size > MOST_ELEMENTS || depth >= DEEPEST) throw new Unreadable("too large an array");
    const elements = [];
    for (let i = 0; i < size; i++) elements.push(this.value(depth + 1));
    return elements;
  }

  /** @param {number} size */
  #text(size) {
    if (size > MOST_TEXT) throw new Unreadable("too long a text");
    const start = this.#take(size);
    try {
      return decoder.decode(this.#bytes.subarray(start, start + size));
    } catch {
      throw new Unreadable("not UTF-8");
    }
  }

  /**
   * Return an unsigned integer of 1, 2 or 4 bytes.
   *
   * @param {number} power
   */
  #size(power) {
    const start = this.#take(2 ** power);
    if (power === 0) return this.#view.getUint8(start);
    return power === 1 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  /**
   * Return the offset of the next bytes and skip them.
   *
   * @param {number} size
   */
  #take(size) {
    const start = this.place;
    if (start + size > this.#bytes.length) throw new Unreadable("the end is missing");
    this.place += size;
    return start;
  }
}

/**
 * @param {bigint} value
 * @returns {number | bigint}
 */
function exact(value) {
  const most = 2n ** 53n;
  return -most <= value && value <= most ? Number(value) : value;
}
