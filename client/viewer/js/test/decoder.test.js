import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { Curve } from "../src/codec/curve.js";
import { Decoder } from "../src/codec/decoder.js";
import { StreamReader } from "../src/container/reader.js";
import { UnsupportedSimulator } from "../src/errors.js";
import { bytes } from "./golden.js";
import { alike } from "./looks.js";
import { VECTORS, byScale, gaussian, near } from "./vectors.js";
import { released } from "./released.js";

for (const known of VECTORS.streams) {
  describe(`the ${known.name} stream`, () => {
    const data = bytes(known.data);
    const symmetries = known.name === "learned" ? 2 : 8;
    /** @type {Map<string, import("../src/codec/decoder.js").Model>} */
    const models = new Map();

    before(async () => {
      const white = ["exact", "described"].includes(known.name);
      const exact = white ? gaussian({ height: 64, width: 64 }) : byScale;
      const denoiser = known.name === "learned" ? await released() : exact;
      const fingerprint = known.data.slice(8, 16);
      models.set(fingerprint, { fingerprint, denoiser });
    });

    for (const prefix of known.prefixes) {
      test(`looks after ${prefix.bytes} bytes as in Python`, async () => {
        const decoder = new Decoder(models);
        decoder.feed(data.subarray(0, prefix.bytes >> 1));
        await decoder.feed(data.subarray(prefix.bytes >> 1, prefix.bytes));
        assert.equal(decoder.steps, prefix.steps);
        for (const method of /** @type {const} */ (["mmse", "flow", "ancestral", 0.5])) {
          if (!prefix[String(method)]) continue;
          const picture = await decoder.render(method);
          alike(picture, prefix[String(method)]);
          assert.ok(Math.abs(picture.predictedPsnr - prefix.predictedPsnr) < 1e-9);
          for (const [end, psnr] of picture.predictedPsnrRange.entries()) {
            assert.ok(Math.abs(psnr - prefix.predictedPsnrRange[end]) < 1e-9);
          }
          assert.equal(picture.bytes, prefix.bytes);
        }
        alike(await decoder.observation(), prefix.observation);
        alike(await decoder.render("mmse", { symmetries }), prefix.symmetries);
      });
    }

    test("has the curve that Python tells", () => {
      const curve = new Curve();
      assert.equal(curve.size, null);
      for (let i = 0; i < data.length; i += 100) curve.feed(data.subarray(i, i + 100));
      const reader = new StreamReader();
      for (const event of reader.feed(data)) assert.ok(event);
      const { height, width } = curve.size ?? {};
      assert.deepEqual([height, width], [reader.header?.height, reader.header?.width]);
      assert.deepEqual(curve.offsets, known.offsets);
      near(curve.psnr(), known.psnr, 1e-9);
      for (const [psnr, offset] of known.reaching) assert.equal(curve.reaching(psnr), offset);
    });
  });
}

for (const [name, data] of Object.entries(VECTORS.others)) {
  test(`says of a stream of ${name} who reads it`, async () => {
    const fingerprint = String(data).slice(8, 16);
    const denoiser = gaussian({ height: 64, width: 64 });
    const decoder = new Decoder(new Map([[fingerprint, { fingerprint, denoiser }]]));
    await assert.rejects(decoder.feed(bytes(String(data))), (error) => {
      assert.ok(error instanceof UnsupportedSimulator);
      assert.match(error.message, /Python receiver/);
      return true;
    });
  });
}
