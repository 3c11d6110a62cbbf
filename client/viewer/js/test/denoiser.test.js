import assert from "node:assert/strict";
import { test } from "node:test";

import { normals } from "../src/channel/randomness.js";
import { MOST_EVALUATED, externalFile, loadDenoiser, prove } from "../src/denoiser.js";
import { PictureTooLarge, UnsupportedStream } from "../src/errors.js";
import { golden } from "./golden.js";
import { modelFile, released, runtime } from "./released.js";

const GRAPH = modelFile("small-733c846a.onnx");
const WEIGHTS = modelFile("small-733c846a.safetensors");

for (const [fingerprint, known] of Object.entries(golden("models.json"))) {
  test(`the model ${fingerprint} computes what PyTorch computes`, async () => {
    const denoiser = await released(fingerprint);
    const z = normals(7, 3, 0, 3 * 24 * 40);
    const values = [];
    for (const snr of [0.1, 2, 60]) {
      const root = Math.sqrt(snr * (1 + snr));
      const eta = z.map((value) => value * root);
      const xHat = await denoiser(eta, { height: 24, width: 40 }, snr);
      values.push(...xHat.filter((_, i) => i % 577 === 0));
    }
    values.forEach((value, i) => assert.ok(Math.abs(value - known[i]) < 2e-3));
    await prove(denoiser, fingerprint);
  });
}

test("a device that computes something else is found out", async () => {
  const wrong = async (/** @type {Float32Array} */ eta) => eta;
  await assert.rejects(prove(wrong, "733c846a"), { name: "ModelUnavailable", message: /wrong/ });
  await assert.rejects(prove(wrong, "00000000"), { name: "ModelUnavailable" });
});

test("files that are not the model's are refused in a line", async () => {
  const ort = await runtime();
  const model = { fingerprint: "733c846a", graph: GRAPH, weights: WEIGHTS };
  const refused = { name: "ModelUnavailable", message: /^[^\n]+$/ };
  for (const weights of [WEIGHTS.subarray(0, 5), WEIGHTS.subarray(8), new Uint8Array(64)]) {
    await assert.rejects(loadDenoiser(ort, { ...model, weights }), refused);
  }
  await assert.rejects(loadDenoiser(ort, { ...model, fingerprint: "42aff771" }), refused);
  await assert.rejects(loadDenoiser(ort, { ...model, graph: GRAPH.subarray(0, 40) }), refused);
  assert.equal(externalFile(GRAPH), "small-733c846a.safetensors");
});

test("noise of a shape that a model does not know is refused", async () => {
  const size = { height: 16, width: 16 };
  const denoiser = await released("733c846a");
  const field = { ratio: 0.6, share: 1 };
  await assert.rejects(denoiser(new Float32Array(768), size, 1, field), UnsupportedStream);
});

test("octaves that would not fit in memory are refused", async () => {
  const size = { height: 2, width: MOST_EVALUATED / 2 + 1 };
  const denoiser = await released();
  await assert.rejects(denoiser(new Float32Array(0), size, 1), PictureTooLarge);
});
