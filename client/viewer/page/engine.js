/**
 * What decodes, begun before the rest of the page is there: runtime and model are what the first
 * picture waits for.
 *
 * @module
 */

import { Decoding } from "diffc-client/decoding";

import { decodes, suspends, threads } from "./abilities.js";

/** @typedef {{ fingerprint: string, weights: string }} ModelFile */

/** Where the page's own files are: the page may be below a path of a reverse proxy. */
const HERE = new URL("./-/", document.baseURI).href;
const RUNTIME = `${HERE}vendor/onnxruntime-web/`;

/** The models that the sender, or whoever serves this page, has. */
export const models = listed();
/** The worker; null in a browser that could not run it. */
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
  // The sender's is most likely the first.
  models.then(
    ([model]) => model && decoding.load(model.fingerprint),
    () => {}, // whoever connects says so
  );
  return decoding;
}

/** @returns {Promise<ModelFile[]>} */
async function listed() {
  return asked("models.json");
}

/**
 * Return what the daemon says of itself under a name.
 *
 * @param {string} name
 */
export async function asked(name) {
  const answer = await fetch(`${HERE}${name}`);
  if (!answer.ok) throw new Error(`${name} could not be loaded (${answer.status})`);
  return answer.json();
}
