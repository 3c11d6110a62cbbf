/**
 * The models of one worker, which are fetched, checked and loaded when they are first needed.
 *
 * @module
 */

import { loadDenoiser } from "./denoiser.js";
import { DiffcError, ModelUnavailable, UnknownModel } from "./errors.js";

/** @typedef {import("./codec/estimator.js").Denoiser} Denoiser */
/** @typedef {import("./denoiser.js").Provider} Provider */
/** @typedef {import("./denoiser.js").Runtime} Runtime */

/**
 * The URL of a file, or its content.
 *
 * @typedef {string | Uint8Array} File
 */

/** @typedef {{ graph: File, weights: File }} Files */

/**
 * The runtime, onnxruntime-web: `module` is the URL of its ES module, `wasm` that of the folder of
 * its .wasm and .mjs files; `gpu`, if given, is the module to use on WebGPU instead.
 *
 * @typedef {{ module: string, wasm?: string, gpu?: string }} Build
 */

/**
 * `provider`: "auto" is WebGPU where it is available and computes correctly, else WebAssembly.
 * `threads` are those of WebAssembly if the page is isolated; otherwise there is one.
 *
 * @typedef {{ runtime: Build, provider?: Provider | "auto", threads?: number }} Setup
 */

/**
 * The provider in use; `fallback` says why it is not WebGPU, if that was tried.
 *
 * @typedef {{ provider: Provider, threads: number, fallback: string | null }} Info
 */

/** More threads than these hardly help. */
const MOST_THREADS = 8;
/** Largest file of a model, in bytes. */
const MOST_BYTES = 256 * 2 ** 20;

/** The smallest graph in ONNX: y = x for one value. */
const IDENTITY = Uint8Array.from([
  8, 8, 58, 55, 10, 16, 10, 1, 120, 18, 1, 121, 34, 8, 73, 100, 101, 110, 116, 105, 116, 121, 18, 1,
  103, 90, 15, 10, 1, 120, 18, 10, 10, 8, 8, 1, 18, 4, 10, 2, 8, 1, 98, 15, 10, 1, 121, 18, 10, 10,
  8, 8, 1, 18, 4, 10, 2, 8, 1, 66, 4, 10, 0, 16, 20,
]);

/** Models by fingerprint. */
export class Models {
  #setup;
  #find;
  /** @type {Map<string, Promise<Denoiser>>} */
  #loaded = new Map();
  /** @type {Map<string, Promise<Runtime>>} */
  #runtimes = new Map();
  /** @type {string | null} */
  #fallback = null;
  /**
   * Set once a model has been loaded.
   *
   * @type {Info | null}
   */
  info = null;

  /**
   * @param {Setup} setup
   * @param {(fingerprint: string) => Promise<Files | null | undefined>} find
   */
  constructor(setup, find) {
    this.#setup = setup;
    this.#find = find;
  }

  /**
   * Return the denoiser of a model; after a failure, the next call tries again.
   *
   * Rejects with UnknownModel or ModelUnavailable.
   *
   * @param {string} fingerprint
   */
  get(fingerprint) {
    let loading = this.#loaded.get(fingerprint);
    if (!loading) {
      loading = this.#load(fingerprint);
      this.#loaded.set(fingerprint, loading);
      loading.catch(() => this.#loaded.delete(fingerprint));
    }
    return loading;
  }

  /** @param {string} fingerprint */
  async #load(fingerprint) {
    // In parallel, because runtime and model are of similar size.
    const beginning = this.#begin();
    beginning.catch(() => {}); // its error is reported below, or does not matter
    const files = await this.#find(fingerprint);
    if (!files) throw new UnknownModel(fingerprint);
    const [graph, weights] = await Promise.all([fetched(files.graph), fetched(files.weights)]);
    const model = { fingerprint, graph, weights };
    if ((await beginning) === "webgpu") {
      try {
        return await this.#run(model, "webgpu");
      } catch (error) {
        if (!(error instanceof DiffcError)) throw error;
        this.#fallback = error.message;
      }
    }
    return this.#run(model, "wasm");
  }

  /**
   * Return the provider to try, and begin to load its runtime.
   *
   * @returns {Promise<Provider>}
   */
  async #begin() {
    const { provider = "auto" } = this.#setup;
    const tried = provider === "auto" && !this.#fallback && (await accelerated());
    const chosen = tried || provider === "webgpu" ? "webgpu" : "wasm";
    const runtime = this.#runtime(this.#module(chosen));
    if (chosen === "wasm") runtime.then(awaken).catch(() => {}); // #run() reports the error
    return chosen;
  }

  /** @param {Provider} provider */
  #module(provider) {
    const { module, gpu } = this.#setup.runtime;
    return provider === "webgpu" ? (gpu ?? module) : module;
  }

  /**
   * @param {{ fingerprint: string, graph: Uint8Array, weights: Uint8Array }} model
   * @param {Provider} provider
   */
  async #run(model, provider) {
    const ort = await this.#runtime(this.#module(provider));
    const denoiser = await loadDenoiser(ort, { ...model, provider });
    const threads = provider === "wasm" ? (ort.env.wasm.numThreads ?? 1) : 1;
    this.info = { provider, threads, fallback: this.#fallback };
    return denoiser;
  }

  /** @param {string} url */
  #runtime(url) {
    let loading = this.#runtimes.get(url);
    if (!loading) {
      loading = this.#import(url);
      this.#runtimes.set(url, loading);
      loading.catch(() => this.#runtimes.delete(url));
    }
    return loading;
  }

  /**
   * @param {string} url
   * @returns {Promise<Runtime>}
   */
  async #import(url) {
    let ort;
    try {
      // Bundlers cannot resolve a URL that is known at run time only.
      ort = await import(/* webpackIgnore: true */ /* @vite-ignore */ url);
    } catch (error) {
      throw new ModelUnavailable("what runs the models could not be loaded", { cause: error });
    }
    const { runtime, threads } = this.#setup;
    // Threads need shared memory, which only isolated pages have.
    const isolated = globalThis.crossOriginIsolated === true;
    const usual = Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST_THREADS);
    ort.env.wasm.numThreads = isolated ? (threads ?? usual) : 1;
    if (runtime.wasm !== undefined) ort.env.wasm.wasmPaths = runtime.wasm;
    ort.env.logLevel = "error";
    return ort;
  }
}

/**
 * Make a runtime load its WebAssembly now instead of with the first model.
 *
 * @param {Runtime} ort
 */
async function awaken(ort) {
  const session = await ort.InferenceSession.create(IDENTITY, { executionProviders: ["wasm"] });
  await session.release();
}

/** Return whether there is a real GPU, not a software fallback. */
async function accelerated() {
  try {
    const { gpu } = /** @type {any} */ (globalThis.navigator ?? {});
    const adapter = await gpu?.requestAdapter();
    return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  } catch {
    return false;
  }
}

/** @param {File} file */
async function fetched(file) {
  if (typeof file !== "string") return file;
  try {
    const response = await fetch(file);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`.trim());
    if (Number(response.headers.get("content-length") ?? 0) > MOST_BYTES) {
      throw new Error("too large");
    }
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ModelUnavailable(`the model could not be fetched: ${why}`, { cause: error });
  }
}
