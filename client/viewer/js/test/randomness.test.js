import assert from "node:assert/strict";
import { test } from "node:test";

import { Purpose, normalTable, normals, philox, signs, words } from "../src/channel/randomness.js";
import { VECTORS } from "./vectors.js";

const known = VECTORS.randomness;

test("Philox gives the words that Python gives", () => {
  const counters = [[0, 0, 0, 0], Array(4).fill(2 ** 32 - 1), [1, 2, 3, 4]];
  const out = new Uint32Array(12);
  counters.forEach((counter, i) => philox(out, 4 * i, [0xa4093822, 0x299f31d0], counter));
  assert.deepEqual(Array.from(out), known.philox.flat());
  const drawn = words(2 ** 32 - 1, Purpose.RENDERING, 2 ** 31 + 1, 7);
  assert.deepEqual(Array.from(drawn), known.words);
});

test("signs are the bits of words", () => {
  const packed = signs(5, Purpose.ROTATION, 9, 70);
  const drawn = Array.from({ length: 70 }, (_, i) => 1 - 2 * ((packed[i >> 5] >>> (i & 31)) & 1));
  assert.deepEqual(drawn, known.signs);
});

test("normals come from the same table to the last bit", () => {
  const table = Array.from(normalTable(), (value) => value * 4096);
  assert.deepEqual(table.slice(2048), known.table);
  assert.ok(table.every((value, i) => value === -table[4095 - i]));
  assert.deepEqual(Array.from(normals(3, Purpose.RENDERING, 257, 41)), known.normals);
});
