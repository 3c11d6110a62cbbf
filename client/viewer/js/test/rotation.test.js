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
