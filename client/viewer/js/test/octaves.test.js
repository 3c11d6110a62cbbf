import assert from "node:assert/strict";
import { test } from "node:test";

import { fieldFeatures, noiseFeatures } from "../src/diffusion/noise.js";
import * as octaves from "../src/diffusion/octaves.js";
import { COUNT, turned, turnedBack, turnedSize } from "../src/diffusion/symmetry.js";
import { VECTORS, near, waves } from "./vectors.js";

for (const known of VECTORS.octaves.cases) {
  const size = { height: known.height, width: known.width };
  const half = octaves.coarser(size);
  const x = waves(octaves.dimensions(size));
  const low = waves(octaves.dimensions(half));

  test(`the octaves around ${known.width}x${known.height} are Python's`, () => {
    near(octaves.means(x, size), known.means, 1e-6);
    near(octaves.details(x, size), known.details, 1e-6);
    const bands = waves(octaves.detailDimensions(size));
    near(octaves.synthesis(low, bands, size), known.synthesis, 1e-6);
    near(octaves.upsampled(low, half, size), known.upsampled, 1e-6);
  });

  test(`pictures of ${known.width}x${known.height} are rounded as Python rounds them`, () => {
    const shown = octaves.pixels(x, size);
    const opaque = known.picture.flatMap((/** @type {number} */ value, /** @type {number} */ i) =>
      i % 3 === 2 ? [value, 255] : [value],
    );
    assert.deepEqual(Array.from(shown), opaque);
  });

  test(`${known.width}x${known.height} is turned as Python turns it, and back`, () => {
    near(turned(x, size, 3), known.turned[0], 0);
    near(turned(x, size, 6), known.turned[1], 0);
    for (let number = 0; number < COUNT; number++) {
      assert.equal(octaves.area(turnedSize(size, number)), octaves.area(size));
      near(turnedBack(turned(x, size, number), size, number), Array.from(x), 0);
    }
  });
}

test("octaves go down to 16 pixels", () => {
  const sizes = [
    { height: 512, width: 768 },
    { height: 17, width: 65_535 },
    { height: 1, width: 1 },
  ].map((size) => octaves.sizes(size).map(({ height, width }) => [height, width]));
  assert.deepEqual(sizes, VECTORS.octaves.sizes);
});

test("noise levels are described by the same numbers", () => {
  for (const [level, features] of Object.entries(VECTORS.octaves.features)) {
    near(noiseFeatures(Number(level)), features, 1e-6);
  }
  for (const [level, ratio, share, features] of VECTORS.octaves.fields) {
    near(fieldFeatures(level, { ratio, share }), features, 1e-6);
  }
});
