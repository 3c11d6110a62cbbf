/** The default model, from the files of the release, on onnxruntime-web's WebAssembly. */

import { readFileSync } from "node:fs";

import { loadDenoiser } from "../src/denoiser.js";

const MODELS = new URL("../../../../diffc_stream/models/", import.meta.url);

/** @param {string} file */
export function modelFile(file) {
  return new Uint8Array(readFileSync(new URL(file, MODELS)));
}

export async function runtime() {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1;
  return ort;
}

/** @param {string} [fingerprint] */
export async function released(fingerprint = "6c137b2c") {
  return loadDenoiser(await runtime(), {
    fingerprint,
    graph: modelFile(`small-${fingerprint}.onnx`),
    weights: modelFile(`small-${fingerprint}.safetensors`),
  });
}
