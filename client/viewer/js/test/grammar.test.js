import assert from "node:assert/strict";
import { test } from "node:test";

import { Before, Kind, delta, parseHeader, parseStep, segments } from "../src/container/grammar.js";
import { StreamReader } from "../src/container/reader.js";
import { parseVarint } from "../src/container/varint.js";
import { crc32c } from "../src/crc32c.js";
import { CorruptStream, NotAStream, UnsupportedStream } from "../src/errors.js";
import { bytes, hex } from "./golden.js";
import { VECTORS } from "./vectors.js";

const known = VECTORS.grammar;
const HEADER = bytes(known.headers[0].data);

/** @param {number} place @param {number} value */
function damaged(place, value) {
  const data = HEADER.slice();
  data[place] = value;
  return data;
}

/** A header's bytes with a check that holds. @param {number[]} body */
function checked(body) {
  const crc = crc32c(Uint8Array.from(body));
  return Uint8Array.from([...body, crc & 0xff, (crc >> 8) & 0xff]);
}

test("the checks are the CRC32C that Python computes", () => {
  assert.equal(crc32c(Uint8Array.from({ length: 256 }, (_, i) => i)), known.crc32c);
  assert.equal(crc32c(Buffer.from("56789"), crc32c(Buffer.from("1234"))), 0xe3069283);
});

test("headers are read, and nothing of one that is cut", () => {
  for (const { data, ...header } of known.headers) {
    const whole = bytes(data);
    const parsed = { header: { ...header, reference: null, clip: null }, size: whole.length };
    assert.deepEqual(parseHeader(whole), parsed);
    for (let size = 0; size < whole.length; size++) {
      assert.equal(parseHeader(whole.subarray(0, size)), null);
    }
  }
});

test("headers name what a stream starts from", () => {
  for (const { data, ...known } of VECTORS.references.headers) {
    const whole = bytes(data);
    const { header, size } = parseHeader(whole) ?? assert.fail("it is whole");
    const { reference, ...others } = header;
    assert.equal(size, whole.length);
    assert.ok(reference);
    const said = { ...reference, trust: hex(reference.trust) };
    assert.deepEqual({ ...others, reference: said }, { ...known, clip: null });
    for (let end = 0; end < whole.length; end += end < 400 ? 1 : 97) {
      assert.equal(parseHeader(whole.subarray(0, end)), null);
    }
    const reader = new StreamReader();
    const events = [];
    for (let i = 0; i < whole.length; i += 50) {
      events.push(...reader.feed(whole.subarray(i, i + 50)));
    }
    assert.deepEqual(events, [{ type: "header", header }]);
    assert.equal(reader.verified, whole.length);
  }
});

test("references that cannot be are corrupt, before they are whole", () => {
  const start = [0x44, 0x46, 0x43, 0x40, 0, 0, 0, 0, 1, 1, 0, 153];
  const named = [...Array(8).fill(0), 0];
  const one = [1];
  for (const [reference, message] of [
    [[0, ...named, 0, 0, 0, 0, 1, 0], /an impossible reference \(at byte 12\)/],
    [[0x81, 0x80, 0x80, 0x80, 4, ...named, 0, 0, 0, 0, 1, 0], /an impossible reference/],
    [[...one, ...named, 0x80, 0x80, 8, 0, 0, 0, 1, 0], /an impossible reference/],
    [[...one, ...named, 0, 0xff, 0xff, 7, 0, 0, 1, 0], /an impossible reference/],
    [[...one, ...named, 0, 0, 0x80, 0x80, 4, 0, 1, 0], /an impossible reference/],
    [[...one, ...named, 0, 0, 0, 0x80, 0x80, 4, 1, 0], /an impossible reference/],
    [[...one, ...named, 0, 0, 0, 0, 0], /in 0 bytes what to trust \(at byte 12\)/],
    [[...one, ...named, 0, 0, 0, 0, 0x81, 0x20], /in 4097 bytes what to trust/],
    [[0xff, 0xff, 0xff, 0xff, 0xff], /an integer has too many bytes \(at byte 12\)/],
  ]) {
    const data = Uint8Array.from([...start, .../** @type {number[]} */ (reference)]);
    assert.throws(() => parseHeader(data), { name: "CorruptStream" });
    assert.throws(() => parseHeader(data), /** @type {RegExp} */ (message));
  }
  const whole = [...start, ...one, ...named, 0, 0, 0, 0, 1, 0];
  assert.ok(parseHeader(checked(whole)));
  whole[11] = 255;
  assert.throws(() => parseHeader(checked(whole)), /a ratio of 255/);
});

test("what is no stream, another version, another signal or damaged is told apart", () => {
  assert.throws(() => parseHeader(Uint8Array.of(0x44, 0x45)), NotAStream);
  assert.throws(
    () => parseHeader(damaged(3, 0x60)),
    /version 6; this release reads versions 1 to 5/,
  );
  assert.throws(() => parseHeader(damaged(3, 0x11)), { name: "CorruptStream", offset: 0 });
  assert.throws(() => parseHeader(damaged(9, HEADER[9] ^ 1)), CorruptStream);
  assert.throws(() => parseHeader(damaged(8, 0xff).fill(0xff, 8)), /too many bytes \(at byte 8\)/);
  const start = Array.from(HEADER.subarray(0, 8));
  assert.throws(() => parseHeader(checked([...start, 0, 1, 0])), /a picture of 0x1 \(at byte 8\)/);
  const seed = [0xff, 0xff, 0xff, 0xff, 0x1f];
  assert.throws(() => parseHeader(checked([...start, 1, 1, ...seed])), CorruptStream);
  start[3] = 0x20;
  for (const ratio of [0, 63, 255]) {
    assert.throws(() => parseHeader(checked([...start, 1, 1, 0, ratio])), /a ratio of/);
  }
  start[3] = 0x13;
  assert.throws(() => parseHeader(checked([...start, 1, 1, 0])), UnsupportedStream);
});

test("steps are read, short and long, and nothing of one that is cut", () => {
  let before = new Before();
  for (const { data, kind, length, deltaCode } of known.steps) {
    const whole = bytes(data);
    const parsed = parseStep(whole, before, 0);
    assert.deepEqual(parsed, {
      step: { kind, simulator: 0, length, deltaCode },
      size: whole.length,
    });
    for (let size = 0; size < whole.length; size++) {
      assert.equal(parseStep(whole.subarray(0, size), before, 0), null);
    }
    before = before.after({ kind, simulator: 0, length, deltaCode });
  }
});

test("short steps name the lengths that Python names", () => {
  [new Before(), new Before(Kind.OPEN, 1000, 70)].forEach((before, i) => {
    const [refine, open] = known.lengths[i];
    assert.deepEqual(
      refine.map((/** @type {unknown} */ _, /** @type {number} */ n) =>
        before.length(Kind.REFINE, n),
      ),
      refine,
    );
    assert.deepEqual(
      open.map((/** @type {unknown} */ _, /** @type {number} */ n) => before.length(Kind.OPEN, n)),
      open,
    );
  });
});

test("steps that cannot be are corrupt, those of other simulators unsupported", () => {
  const before = new Before();
  const corrupt = [[0x00], [0x3f], [0x10, 0], [0x20, 0xff, 0xff, 0xff, 0xff, 0x7f]];
  for (const data of corrupt) {
    const thrown = { name: "CorruptStream", offset: 77 };
    assert.throws(() => parseStep(Uint8Array.from(data), before, 77), thrown);
  }
  assert.throws(() => parseStep(Uint8Array.of(0x13, 1, 1), before, 0), UnsupportedStream);
  assert.throws(() => parseStep(Uint8Array.of(0x20, 255, 255, 255, 255, 255), before, 0), {
    name: "CorruptStream",
  });
  const last = new Before(Kind.OPEN, 2 ** 28 - 1, 3);
  assert.throws(() => parseStep(Uint8Array.of(0x80), last, 5), { offset: 5 });
  assert.throws(() => parseStep(Uint8Array.of(0x7f), last, 5), { offset: 5 });
});

test("segments, deltas and varints are Python's", () => {
  for (const [length, lengths] of Object.entries(known.segments)) {
    assert.deepEqual([...segments(Number(length))], lengths);
  }
  assert.deepEqual(
    Array.from({ length: 256 }, (_, code) => delta(code)),
    known.delta,
  );
  const most = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f);
  assert.deepEqual(parseVarint(most, 0), { value: 2 ** 35 - 1, place: 5 });
});
