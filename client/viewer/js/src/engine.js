/**
 * The worker that decodes the pictures of a page, which begins with the first of them.
 *
 * @module
 */

import { Decoding } from "./decoding.js";

/**
 * `runtime` and `models` are the URLs of the folders of onnxruntime-web and of the models.
 *
 * @typedef {{ runtime?: string | URL, models?: string | URL, gpu?: string | URL,
 *   provider?: import("./models.js").Setup["provider"], threads?: number }} Settings
 */

/** Where this module is: of a bundle, where the bundle is. */
const HERE = import.meta.url;

/** @type {Settings} */
let settings = {};
/** @type {Decoding | null} */
let shared = null;

/**
 * Say where the files for decoding are, by default the folders "ort" and "models" beside this
 * module; before the first picture is near the viewport.
 *
 * @param {Settings} changes
 */
export function configure(changes) {
  settings = { ...settings, ...changes };
}

/** Return what decodes all pictures of the page. */
export function decoding() {
  shared ??= begun();
  return shared;
}

/** @returns {Decoding} */
function begun() {
  const { runtime, models, gpu, provider, threads } = settings;
  const ort = folder(runtime ?? new URL("ort/", HERE));
  const home = folder(models ?? new URL("models/", HERE));
  return new Decoding({
    worker: worker(),
    runtime: { module: `${ort}ort.wasm.min.mjs`, wasm: ort, gpu: gpu && String(gpu) },
    model: (fingerprint) => ({
      graph: `${home}${fingerprint}.onnx`,
      weights: `${home}${fingerprint}.safetensors`,
    }),
    provider: provider ?? (gpu ? "auto" : "wasm"),
    threads,
  });
}

/** @param {string | URL} url */
function folder(url) {
  return new URL(url, document.baseURI).href.replace(/\/?$/, "/");
}

/** Return a worker, also if this module comes from another origin, a CDN for example. */
function worker() {
  const url = new URL("worker.js", HERE);
  if (url.origin === location.origin || url.protocol === "file:") {
    // Bundlers find the worker by this expression.
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  }
  // Browsers start workers of the page's own origin only, which may import others.
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" });
  const own = URL.createObjectURL(script);
  return new Worker(own, { type: "module" });
}
