/**
 * The kinds of fields in control messages.
 *
 * Each kind defines the values it accepts once, for writing and for reading.  `parse` takes a value
 * that MessagePack has decoded and returns that of the message, or throws Unfit with a phrase that
 * follows the field's name; `plain` is its inverse.
 *
 * @module
 */

import { Float } from "./packing.js";

/** A value that a field cannot hold.  Code outside this folder never gets it. */
export class Unfit extends Error {}

/**
 * One kind of field.
 *
 * @typedef {object} Field
 * @property {(value: unknown) => any} parse
 * @property {(value: unknown) => unknown} plain
 */

/**
 * A kind of field that is an array of others.
 *
 * @typedef {{ parse: (value: unknown) => any, plain: (value: unknown) => unknown[] }} Rows
 */

const encoder = new TextEncoder();
// What Python's str.isprintable() refuses: the categories other and separator, except the space.
const UNPRINTABLE = /[\p{C}\p{Z}]/u;
// What no name of a picture has: controls, ends of lines, what has it read backwards, and what
// separates folders elsewhere.
// eslint-disable-next-line no-control-regex
const NO_NAME = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202d\u202e\\]/;
const LONE_SURROGATE = /\p{Cs}/u;

/**
 * A whole number from `low` to `high`, both included.
 *
 * @param {number} low
 * @param {number} high
 * @returns {Field}
 */
export function integer(low, high) {
  return plainly((value) => {
    if (typeof value !== "bigint" && !Number.isInteger(value)) throw new Unfit("is not an integer");
    const number = /** @type {number | bigint} */ (value);
    if (!(low <= number && number <= high))
      throw new Unfit(`is ${number}, not within ${low} to ${high}`);
    return number;
  });
}

/**
 * A finite number above 0 and up to `high`.
 *
 * @param {number} high
 * @returns {Field}
 */
export function number(high) {
  return plainly((value) => {
    const found = value instanceof Float ? value.value : value;
    if (typeof found !== "number" && typeof found !== "bigint") throw new Unfit("is not a number");
    // Written so that a NaN fails too.
    if (!(0 < found && found <= high))
      throw new Unfit(`is ${found}, not above 0 and up to ${high}`);
    return found;
  });
}

/**
 * True or false.
 *
 * @returns {Field}
 */
export function flag() {
  return plainly((value) => {
    if (typeof value !== "boolean") throw new Unfit("is neither true nor false");
    return value;
  });
}

/**
 * One line of printable text, at most `limit` bytes of UTF-8.
 *
 * @param {number} limit
 * @returns {Field}
 */
export function text(limit) {
  return plainly((value) => {
    const found = unicode(value, limit);
    if (!printable(found)) throw new Unfit("has characters that cannot be printed");
    return found;
  });
}

/**
 * The name of a picture: a relative path with forward slashes, safe to join to a folder.
 *
 * No empty, "." or ".." segment, no leading or trailing slash, no backslash, no control character,
 * no end of a line, and nothing that overrides directions; at most `limit` bytes of UTF-8.
 *
 * @param {number} limit
 * @returns {Field}
 */
export function name(limit) {
  return plainly((value) => {
    const found = unicode(value, limit);
    if (found.split("/").some((segment) => ["", ".", ".."].includes(segment)))
      throw new Unfit("is not a relative path");
    if (NO_NAME.test(found)) throw new Unfit("has characters that no picture's name has");
    return found;
  });
}

/**
 * A fingerprint or hash: `digits` lower-case hex digits.
 *
 * @param {number} digits
 * @returns {Field}
 */
export function hex(digits) {
  return plainly((value) => {
    if (typeof value !== "string" || value.length !== digits || /[^0-9a-f]/.test(value))
      throw new Unfit(`is not ${digits} hex digits`);
    return value;
  });
}

/**
 * One of a few words.
 *
 * @param {readonly string[]} choices
 * @returns {Field}
 */
export function oneOf(choices) {
  return plainly((value) => {
    if (typeof value !== "string" || !choices.includes(value))
      throw new Unfit(`is none of ${choices.join(", ")}`);
    return value;
  });
}

/**
 * Up to `limit` fields of one kind.
 *
 * @param {Field} item
 * @param {number} limit
 * @returns {Field}
 */
export function many(item, limit) {
  /** @param {unknown} value */
  function bounded(value) {
    if (!Array.isArray(value)) throw new Unfit("is not an array");
    if (value.length > limit) throw new Unfit(`has more than ${limit} elements`);
    return value;
  }
  return {
    parse: (value) => bounded(value).map(item.parse),
    plain: (value) => bounded(value).map(item.plain),
  };
}

/**
 * A field that may be null.
 *
 * @param {Field} item
 * @returns {Field}
 */
export function maybe(item) {
  return {
    parse: (value) => (value === null ? null : item.parse(value)),
    plain: (value) => (value === null ? null : item.plain(value)),
  };
}

/**
 * An array of fields in order, each with its default if it has one.
 *
 * Further elements are ignored, because a newer version may append fields.  Fields with a default
 * may be missing at the end, and are written so.
 *
 * @param {Record<string, [Field] | [Field, unknown]>} fields
 * @returns {Rows}
 */
export function record(fields) {
  const entries = Object.entries(fields);
  return {
    parse(value) {
      if (!Array.isArray(value)) throw new Unfit("is not an array");
      /** @type {Record<string, unknown>} */
      const parsed = {};
      for (const [index, [called, [field]]] of entries.entries())
        if (index < value.length) parsed[called] = within(called, () => field.parse(value[index]));
      for (const [called, field] of entries.slice(value.length)) {
        if (field.length === 1) throw new Unfit("fields are missing");
        parsed[called] = field[1];
      }
      return parsed;
    },
    plain(value) {
      const given = /** @type {Record<string, unknown>} */ (value);
      /** @type {unknown[]} */
      const elements = [];
      let needed = 0;
      for (const [called, [field, ...fallback]] of entries) {
        const element = given[called] ?? (fallback.length ? fallback[0] : undefined);
        elements.push(within(called, () => field.plain(element)));
        if (!fallback.length || !same(element, fallback[0])) needed = elements.length;
      }
      return elements.slice(0, needed);
    },
  };
}

/**
 * Return `text` in a form that ERROR allows: one line, printable, 512 bytes at most.
 *
 * @param {string} text
 */
export function oneLine(text) {
  const words = text.split(/\s+/).filter((word) => word);
  const characters = [...words.join(" ")].map((c) => (printable(c) ? c : "?"));
  while (encoder.encode(characters.join("")).length > 512) characters.pop();
  return characters.join("");
}

/**
 * A kind of field whose values MessagePack knows.
 *
 * @param {(value: unknown) => unknown} parse
 * @returns {Field}
 */
function plainly(parse) {
  return { parse, plain: parse };
}

/**
 * @param {unknown} value
 * @param {number} limit
 */
function unicode(value, limit) {
  if (typeof value !== "string") throw new Unfit("is not text");
  if (LONE_SURROGATE.test(value)) throw new Unfit("is not Unicode text");
  if (encoder.encode(value).length > limit) throw new Unfit(`has more than ${limit} bytes`);
  return value;
}

/** @param {string} value */
function printable(value) {
  return !UNPRINTABLE.test(value.replaceAll(" ", ""));
}

/**
 * @template T
 * @param {string} called
 * @param {() => T} task
 */
function within(called, task) {
  try {
    return task();
  } catch (error) {
    if (error instanceof Unfit) throw new Unfit(`${called} ${error.message}`);
    throw error;
  }
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function same(one, other) {
  return (
    one === other || (Array.isArray(one) && Array.isArray(other) && !one.length && !other.length)
  );
}
