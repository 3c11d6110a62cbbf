/**
 * Starts the decoder before the rest of the page has loaded, because the first picture waits
 * longest for its runtime and model.
 *
 * @module
 */

import { Decoding } from "diffc-client/decoding";

import { decodes, suspends, threads } from "./abilities.js";

/** @typedef {{ fingerprint: string, weights: string }} ModelFile */

/** The URL of the page's own files, of which this is one. */
const HERE = new URL("../", import.meta.url).href;
const RUNTIME = `${HERE}vendor/onnxruntime-web/`;

/** The models of the daemon that serves this page. */
export const models = listed();
/** The worker; null in a browser that cannot run it. */
export const decoding = decodes() ? begun() : null;

function begun() {
  const decoding = new Decoding({
    worker: `${HERE}js/worker.js`,
    runtime: {
      module: `${RUNTIME}ort.wasm.min.mjs`,
      wasm: RUNTIME,
      gpu: suspends() ? `${RUNTIME}ort.jspi.min.mjs` : undefined,
    },
    model: async (fingerprint) =>
      (await models).some((model) => model.fingerprint === fingerprint)
        ? {
            graph: `${HERE}models/${fingerprint}.onnx`,
            weights: `${HERE}models/${fingerprint}.safetensors`,
          }
        : null,
    threads: threads(),
  });
  // The sender most likely encodes with the first one.
  models.then(
    ([model]) => model && decoding.load(model.fingerprint),
    () => {}, // the connection reports the error
  );
  return decoding;
}

/** @returns {Promise<ModelFile[]>} */
async function listed() {
  return asked("models.json");
}

/**
 * Return a part of what the daemon says about itself, by its name.
 *
 * @param {string} name
 */
export async function asked(name) {
  const answer = await fetch(`${HERE}${name}`);
  if (!answer.ok) throw new Error(`${name} could not be loaded (${answer.status})`);
  return answer.json();
}
