import assert from "node:assert/strict";
import { test } from "node:test";

import { admits, cosineSquared, reproduce } from "../src/channel/trellis.js";
import { bytes } from "./golden.js";
import { VECTORS, near } from "./vectors.js";

for (const known of VECTORS.samples) {
  const { dims, length, payload } = known;
  test(`${payload.length / 2} of ${length} bytes over ${dims} values are Python's sample`, () => {
    const sample = reproduce(bytes(payload), dims, length);
    assert.equal(sample.there, known.there);
    near([sample.energy, cosineSquared(8 * length, dims)], [known.energy, known.cosine], 1e-12);
    near(sample.values, known.values, 1e-6, VECTORS.every);
    assert.ok(sample.values.subarray(known.there).every((value) => value === 0));
  });
}

test("the same lengths are admitted", () => {
  for (const [dims, length, admitted] of VECTORS.admitted) {
    assert.equal(admits(dims, length), admitted, `${length} bytes over ${dims}`);
  }
});
