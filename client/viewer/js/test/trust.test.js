/** How far references are trusted, and how they are fitted to pictures. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Observation } from "../src/diffusion/observation.js";
import { sizes } from "../src/diffusion/octaves.js";
import { ReferencePicture, fitted } from "../src/diffusion/reference.js";
import { Trust } from "../src/diffusion/trust.js";
import { bytes } from "./golden.js";
import { VECTORS, near, waves } from "./vectors.js";

const { trusts, fits } = VECTORS.references;

for (const { height, width, data, scales } of trusts) {
  test(`trust in references of ${height}x${width} is what Python tells`, () => {
    const trust = Trust.parse(bytes(data), sizes({ height, width }));
    assert.equal(trust.codes.length, scales.length);
    scales.forEach((/** @type {any} */ known, /** @type {number} */ scale) => {
      assert.equal(trust.variance(scale), known.variance);
      assert.equal(trust.difference(scale), known.difference);
      assert.equal(trust.missing(scale), known.missing);
      const weight = trust.weight(scale, 1.5) ?? new Float32Array(known.shape[0] * known.shape[1]);
      assert.equal(weight.length, known.shape[0] * known.shape[1]);
      near(weight, known.weight, 1e-6, VECTORS.every);
    });
  });
}

test("trust that is too short or too long is told", () => {
  const three = sizes({ height: 61, width: 50 });
  const whole = bytes(trusts[0].data);
  assert.throws(() => Trust.parse(whole.subarray(0, 2), three), /2 bytes of trust for 3 scales/);
  assert.throws(() => Trust.parse(whole.subarray(0, 4), three), /told only in part/);
  assert.throws(() => Trust.parse(Uint8Array.of(...whole, 0), three), /something follows/);
  const nothing = Trust.parse(Uint8Array.of(1, 2, 3, 0), three);
  assert.ok(!nothing.changed.some(Boolean));
  assert.throws(() => Trust.parse(Uint8Array.of(1, 2, 3, 1), three), /something follows/);
});

for (const known of fits) {
  const [height, width] = known.picture;
  test(`a reference of ${height}x${width} is fitted as in Python`, () => {
    const x = waves(3 * height * width);
    const pixels = new Uint8ClampedArray(4 * height * width);
    for (let i = 0; i < height * width; i++) {
      for (let channel = 0; channel < 3; channel++) {
        pixels[4 * i + channel] = Math.fround(x[channel * height * width + i] + 2) * 63.75;
      }
    }
    /** @param {number[]} size */
    const named = ([height, width]) => ({ height, width });
    const all = known.sizes.map(named);
    const fit = fitted({ pixels, height, width }, all, known.shift, known.cut);
    assert.equal(fit.length, known.octaves.length);
    fit.forEach((octave, place) => {
      if (!octave) assert.equal(known.octaves[place], null);
      else near(octave, known.octaves[place], 2e-6, VECTORS.every);
    });
  });
}

test("a reference that is smaller than the coarsest octave is refused", () => {
  const picture = { pixels: new Uint8ClampedArray(4 * 15 * 40), height: 15, width: 40 };
  const message = /a reference of 40x15 pixels is too small/;
  assert.throws(() => fitted(picture, sizes({ height: 64, width: 64 })), message);
});

test("a reference that nothing is trusted of leaves everything as it is", () => {
  const all = sizes({ height: 40, width: 33 });
  const picture = { pixels: new Uint8ClampedArray(4 * 40 * 33), height: 40, width: 33 };
  const trust = Trust.parse(Uint8Array.of(0x50, 0x50, 0x50), all);
  const reference = new ReferencePicture(fitted(picture, all), trust);
  const bands = waves(9 * 20 * 17);
  assert.equal(reference.foreseen(bands, 0), bands);
  const none = new Float32Array(3 * all[all.length - 1].height * all[all.length - 1].width);
  const nothing = Observation.nothing(all[all.length - 1], all.length - 1);
  assert.ok(!reference.corrected(none, nothing).some(Boolean));
});
