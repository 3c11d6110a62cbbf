/** Every message as Python writes and reads it, and everything that is not one refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LocalProtocolError, RemoteProtocolError } from "../src/errors.js";
import { decode, encode, ENTRIES_PER_PAGE, MAX_MESSAGE } from "../src/session/messages.js";
import { PrefixHash } from "../src/session/prefix.js";
import { numbers } from "./numbers.js";
import { bytes, golden, hex } from "./golden.js";

const VECTORS = golden("messages.json");

/**
 * Return a message of a vector.
 *
 * @param {{ type: import("../src/session/messages.js").Message["type"], fields: any }} vector
 * @returns {import("../src/session/messages.js").Message}
 */
function message({ type, fields }) {
  const payload = type === "DATA" ? { payload: bytes(fields.payload) } : {};
  return { type, ...fields, ...payload };
}

test("messages are written as in Python", () => {
  for (const vector of VECTORS.messages) assert.equal(hex(encode(message(vector))), vector.hex);
});

test("messages are read as in Python", () => {
  for (const vector of [...VECTORS.messages, ...VECTORS.read])
    assert.deepEqual(decode(bytes(vector.hex)), message(vector), vector.hex);
});

test("what is no message is refused as in Python, in the same words", () => {
  for (const vector of VECTORS.refused)
    assert.throws(
      () => decode(bytes(vector.hex)),
      { name: vector.error, message: vector.message },
      vector.hex,
    );
});

test("what is out of range is not written, in the same words", () => {
  for (const vector of VECTORS.unsendable)
    assert.throws(() => encode(message(vector)), { name: vector.error, message: vector.message });
});

test("damaged messages are read or refused as in Python", () => {
  for (const [damaged, again] of VECTORS.mutants) {
    const read = () => hex(encode(decode(bytes(damaged))));
    if (again === null) assert.throws(read, RemoteProtocolError, damaged);
    else assert.equal(read(), again, damaged);
  }
});

test("defaults may be left out", () => {
  const short = encode({ type: "OPEN", stream: 1, image: "a.png" });
  assert.deepEqual(decode(short), {
    type: "OPEN",
    stream: 1,
    image: "a.png",
    start: 0,
    prefix: null,
    bytes: null,
    bpp: null,
    side: null,
    psnr: null,
    weight: 1,
    model: null,
    region: null,
  });
});

test("the longest page of a catalogue fits a message", () => {
  const entry = { name: "x".repeat(255), size: 2 ** 53, time: 2 ** 53, thumbprint: "f".repeat(16) };
  const images = Array(ENTRIES_PER_PAGE).fill(entry);
  const mark = "f".repeat(16);
  const page = { images, last: true, changes: true, removed: [], mark, left_out: 0 };
  const data = encode({ type: "CATALOGUE", ...page });
  assert.ok(data.length <= MAX_MESSAGE);
  assert.deepEqual(decode(data), { type: "CATALOGUE", ...page });
});

test("larger messages are refused unread", () => {
  assert.throws(() => decode(new Uint8Array(MAX_MESSAGE + 1)), /more than 16384/);
});

test("neither not a number nor infinity is a number", () => {
  for (const wait of [NaN, Infinity])
    assert.throws(() => encode({ type: "GOAWAY", wait }), LocalProtocolError);
  for (const float of ["7ff8000000000000", "7ff0000000000000"])
    assert.throws(() => decode(bytes(`0c91cb${float}`)), RemoteProtocolError);
});

test("a map is refused, even an empty one", () => {
  for (const body of ["80", "9180", "91c400", "91c70005"])
    assert.throws(() => decode(bytes(`03${body}`)), RemoteProtocolError);
});

test("text that is no Unicode is not written", () => {
  const open = { stream: 1, image: "\ud800" };
  assert.throws(() => encode({ type: "OPEN", ...open }), /OPEN: image is not Unicode text/);
});

test("a message may be a part of a larger buffer", () => {
  const data = encode({ type: "DATA", stream: 1, offset: 9, payload: Uint8Array.of(1, 2, 3) });
  const buffer = new Uint8Array(data.length + 20);
  buffer.set(data, 7);
  assert.deepEqual(decode(buffer.subarray(7, 7 + data.length)), decode(data));
});

test("20,000 damaged messages raise nothing but the documented error, of one line", () => {
  const random = numbers(20261121);
  /** @type {Uint8Array[]} */
  const whole = VECTORS.messages.map((/** @type {any} */ vector) => bytes(vector.hex));
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const data = damaged(whole[random(whole.length)], random);
    try {
      const read = decode(data);
      assert.deepEqual(decode(encode(read)), read);
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      assert.doesNotMatch(error.message, /\n/);
      refused++;
    }
  }
  assert.ok(refused > 10_000);
});

test("the hash of a prefix", () => {
  assert.equal(String(new PrefixHash()), "e3b0c44298fc1c14");
  const hash = new PrefixHash(Buffer.from("a"));
  hash.update(Buffer.from("b"));
  assert.equal(String(hash), "fb8e20fc2e4c3f24");
  hash.update(Buffer.from("c"));
  assert.equal(String(hash), "ba7816bf8f01cfea");
});

/**
 * Return a message with a few bytes changed, lost, doubled or made up.
 *
 * @param {Uint8Array} data
 * @param {(below: number) => number} random
 */
function damaged(data, random) {
  const out = [...data];
  for (let changes = 1 + random(4); changes; changes--) {
    const place = random(out.length + 1);
    if (random(4) === 0) out.splice(place, random(3));
    else if (random(3) === 0) out.splice(place, 0, ...Array.from({ length: 3 }, () => random(256)));
    else out[place] = random(256);
  }
  return Uint8Array.from(out);
}
