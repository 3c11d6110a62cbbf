import assert from "node:assert/strict";
import { test } from "node:test";

import { Rotation } from "../src/channel/rotation.js";
import { VECTORS, near, waves } from "./vectors.js";

for (const { dims, seed, address, forward, inverse } of VECTORS.rotations) {
  test(`${dims} dimensions are rotated as Python rotates them`, () => {
    const rotation = new Rotation(dims, seed, address);
    near(rotation.forward(waves(dims)), forward, 2e-6, VECTORS.every);
    near(rotation.inverse(waves(dims)), inverse, 2e-6, VECTORS.every);
    near(rotation.inverse(rotation.forward(waves(dims))), Array.from(waves(dims)), 1e-6);
  });
}

test("permutations stay exact where products of their numbers would not", () => {
  const dims = 3 * 9_000 * 9_001;
  const x = new Float32Array(dims).fill(0.5);
  const energy = new Rotation(dims, 1, 1).inverse(x).reduce((sum, value) => sum + value ** 2, 0);
  assert.ok(Math.abs(energy / dims - 0.25) < 1e-6);
});
