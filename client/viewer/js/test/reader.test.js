import assert from "node:assert/strict";
import { test } from "node:test";

import { StreamReader } from "../src/container/reader.js";
import { CorruptStream } from "../src/errors.js";
import { bytes } from "./golden.js";
import { VECTORS } from "./vectors.js";

const STREAM = bytes(VECTORS.streams[0].data);

/** @param {Uint8Array} data @param {number} size */
function events(data, size, reader = new StreamReader()) {
  const result = [];
  const buffer = new Uint8Array(size);
  for (let place = 0; place < data.length; place += size) {
    // One buffer for all pieces, as of someone who reads from a socket.
    const piece = data.subarray(place, place + size);
    buffer.set(piece);
    for (const event of reader.feed(buffer.subarray(0, piece.length))) {
      result.push(event.type === "payload" ? { ...event, data: event.data.slice() } : event);
    }
  }
  return { reader, events: result };
}

/** @param {import("../src/container/reader.js").Event[]} all */
function payloads(all) {
  return Buffer.concat(
    all
      .map((event) => (event.type === "payload" ? event.data : []))
      .map((data) => Uint8Array.from(data)),
  ).toString("hex");
}

test("pieces of any size give the same", () => {
  const whole = events(STREAM, STREAM.length);
  const kinds = whole.events.map((event) => event.type);
  assert.ok(kinds.includes("check") && whole.reader.verified > 0);
  assert.equal(whole.reader.offset, STREAM.length);
  for (const size of [1, 2, 7, 100]) {
    const cut = events(STREAM, size);
    assert.equal(payloads(cut.events), payloads(whole.events));
    const others = cut.events.filter((event) => event.type !== "payload");
    assert.deepEqual(
      others,
      whole.events.filter((event) => event.type !== "payload"),
    );
  }
});

test("a byte that changed before a check is found by it, and told of with `damaged`", () => {
  const verified = events(STREAM, 50).reader.verified;
  const data = STREAM.slice();
  data[verified - 40] ^= 4;
  const reader = new StreamReader();
  assert.throws(() => events(data, 64, reader), CorruptStream);
  assert.ok(reader.verified < verified);
  const told = events(data, 64, new StreamReader({ damaged: true }));
  assert.equal(told.events.filter((event) => event.type === "check" && !event.good).length, 1);
});

test("nonsense is an error of one line or a stream, and never takes long", () => {
  let state = 1;
  const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 1) >>> 8;
  for (let round = 0; round < 2000; round++) {
    const data = STREAM.slice(0, 13 + (random() % 300));
    for (let i = 0; i < 3; i++) data[13 + (random() % Math.max(1, data.length - 13))] = random();
    try {
      events(data, 1 + (random() % 80));
    } catch (error) {
      assert.match(String(error), /^(CorruptStream|UnsupportedStream): [^\n]+$/);
    }
  }
});

test("what a stream says of its picture is read once it is there and checked", () => {
  const known = VECTORS.streams[3];
  const data = bytes(known.data);
  for (const size of [1, 7, data.length]) {
    const { events: all } = events(data, size);
    const facts = all.flatMap((event) => (event.type === "about" ? [event.facts] : []));
    assert.deepEqual(
      facts.map((fact) => Buffer.from(fact).toString("hex")),
      known.facts,
    );
  }
  const place = Buffer.from(data).indexOf(Buffer.from(known.facts[0], "hex"));
  const damaged = data.slice();
  damaged[place] ^= 1;
  assert.throws(() => events(damaged, 50), CorruptStream);
  const told = events(damaged, 50, new StreamReader({ damaged: true })).events;
  assert.equal(told.filter((event) => event.type === "about").length, 0);
  assert.equal(told.filter((event) => event.type === "check" && !event.good).length, 1);
  damaged.set(data);
  damaged[place - 1] = 128;
  assert.throws(() => events(damaged, 50), /facts of 128 bytes/);
  // In a stream of another version there are none.
  const plain = bytes(VECTORS.streams[0].data).slice(0, 13);
  assert.throws(
    () => events(Uint8Array.of(...plain, 0x31, 1, 1), 50),
    /no record starts with 0x31/,
  );
});
