/**
 * A denoiser that runs a model's graph on onnxruntime-web: in browsers and in Node.
 *
 * A model consists of two files: a graph, and the weights of the release, which the graph names as
 * its external data.  The caller passes the runtime, and so chooses its build and where it comes
 * from.
 *
 * @module
 */

import { variancePreserving } from "./diffusion/observation.js";
import { WHITE } from "./diffusion/field.js";
import { fieldFeatures, noiseFeatures } from "./diffusion/noise.js";
import { CHANNELS, area } from "./diffusion/octaves.js";
import { ModelUnavailable, PictureTooLarge, UnsupportedStream } from "./errors.js";
import { GOLDEN } from "./golden.js";

/** @typedef {import("./codec/estimator.js").Denoiser} Denoiser */
/** @typedef {import("./diffusion/octaves.js").Size} Size */
/** @typedef {typeof import("onnxruntime-web")} Runtime */
/** @typedef {"webgpu" | "wasm"} Provider */

/**
 * Pixels of the largest octave that is evaluated: more would not fit the 4 GB that WebAssembly can
 * address.
 */
export const MOST_EVALUATED = 4_000_000;

/** How far the values of a sound provider are from those of PyTorch: 1e-5, on GPUs 1e-4. */
const TOLERANCE = 1e-3;
/** A safetensors header longer than this is not one of a model. */
const LONGEST_HEADER = 2 ** 20;

/**
 * Return the denoiser of a model's two files.
 *
 * `provider` is where it computes; "webgpu" is first checked against known values.  Rejects with
 * ModelUnavailable if the files are not those of the model `fingerprint`, or cannot be run.
 *
 * @param {Runtime} ort
 * @param {{ fingerprint: string, graph: Uint8Array, weights: Uint8Array, provider?: Provider }} model
 * @returns {Promise<Denoiser>}
 */
export async function loadDenoiser(ort, { fingerprint, graph, weights, provider = "wasm" }) {
  const { multiple, shaped } = described(weights, fingerprint);
  const session = await opened(ort, graph, weights, provider);
  /** @type {Denoiser} */
  const denoiser = async (eta, size, snr, field = WHITE) => {
    if (!shaped && field.ratio !== 1) {
      throw new UnsupportedStream("this stream shapes its noise, which its model does not know");
    }
    if (area(size) > MOST_EVALUATED) {
      throw new PictureTooLarge(
        `${size.width}x${size.height} pixels are more than can be computed here ` +
          `(${MOST_EVALUATED}); a smaller picture of this stream can be shown`,
      );
    }
    const full = {
      height: Math.ceil(size.height / multiple) * multiple,
      width: Math.ceil(size.width / multiple) * multiple,
    };
    const z = variancePreserving(eta, snr);
    const level = Math.log(snr);
    const features = shaped ? fieldFeatures(level, field) : noiseFeatures(level);
    // A shaped network sees a fourth plane: the map of a field, 0 where it is the same everywhere.
    const channels = CHANNELS + Number(shaped);
    const seen = padded(z, size, full, channels);
    const results = await session.run({
      z: new ort.Tensor("float32", seen, [1, channels, full.height, full.width]),
      features: new ort.Tensor("float32", features, [1, features.length]),
    });
    const v = /** @type {Float32Array} */ (await results.v.getData());
    const xHat = estimate(z, v, snr, size, full);
    results.v.dispose();
    return xHat;
  };
  if (provider === "webgpu") await prove(denoiser, fingerprint);
  return denoiser;
}

/**
 * Return two facts from the weights' header: the number of pixels of which the network's sides are
 * multiples, and whether it takes the field of the noise as an input.
 *
 * @param {Uint8Array} weights
 * @param {string} fingerprint
 */
function described(weights, fingerprint) {
  try {
    const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
    const length = Number(view.getBigUint64(0, true));
    if (length > LONGEST_HEADER) throw new RangeError("no header");
    const text = new TextDecoder().decode(weights.subarray(8, 8 + length));
    const { fingerprint: own, architecture } = JSON.parse(text).__metadata__;
    if (own !== fingerprint) {
      throw new ModelUnavailable(`the file of the model ${fingerprint} holds the model ${own}`);
    }
    const { widths, shaped } = JSON.parse(architecture);
    return { multiple: 2 ** widths.length, shaped: Boolean(shaped) };
  } catch (error) {
    if (error instanceof ModelUnavailable) throw error;
    throw new ModelUnavailable(`the weights of the model ${fingerprint} are no model file`, {
      cause: error,
    });
  }
}

/**
 * @param {Runtime} ort
 * @param {Uint8Array} graph
 * @param {Uint8Array} weights
 * @param {Provider} provider
 */
async function opened(ort, graph, weights, provider) {
  try {
    return await ort.InferenceSession.create(graph, {
      executionProviders: [provider],
      externalData: [{ path: externalFile(graph), data: weights }],
      // Optimising this simple graph only delays its loading by half, except on GPUs.
      graphOptimizationLevel: provider === "wasm" ? "disabled" : "all",
      // Leave out thousands of warnings about the graph.
      logSeverityLevel: 3,
    });
  } catch (error) {
    throw new ModelUnavailable(`the model cannot be run on ${provider}: ${line(error)}`, {
      cause: error,
    });
  }
}

/**
 * Return the name by which a graph knows the file of its weights.
 *
 * The graph is a protocol buffer, which holds it as a pair of strings: "location" and the name.
 *
 * @param {Uint8Array} graph
 */
export function externalFile(graph) {
  const key = [0x0a, 8, ...new TextEncoder().encode("location"), 0x12];
  for (let place = graph.indexOf(key[0]); place >= 0; place = graph.indexOf(key[0], place + 1)) {
    if (!key.every((byte, i) => graph[place + i] === byte)) continue;
    const start = place + key.length + 1;
    return new TextDecoder().decode(graph.subarray(start, start + graph[start - 1]));
  }
  throw new ModelUnavailable("the graph names no file of weights");
}

/**
 * Return planes of size `full` with those of `size` at the upper left, repeating the borders.
 *
 * There are `channels` planes; those beyond the picture's are 0.
 *
 * @param {Float32Array} x
 * @param {Size} size
 * @param {Size} full
 * @param {number} channels
 */
function padded(x, size, full, channels) {
  const result = new Float32Array(channels * area(full));
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let row = 0; row < full.height; row++) {
      const line = channel * size.height + Math.min(row, size.height - 1);
      const source = x.subarray(line * size.width, (line + 1) * size.width);
      const start = (channel * full.height + row) * full.width;
      result.set(source, start);
      result.fill(source[size.width - 1], start + size.width, start + full.width);
    }
  }
  return result;
}

/**
 * Return x_hat = alpha z - sigma v, clipped to the range of pictures, [-2, 2].
 *
 * @param {Float32Array} z
 * @param {Float32Array} v
 * @param {number} snr
 * @param {Size} size
 * @param {Size} full
 */
function estimate(z, v, snr, size, full) {
  const alpha = Math.sqrt(snr / (1 + snr));
  const sigma = Math.sqrt(1 / (1 + snr));
  const xHat = new Float32Array(z.length);
  let place = 0;
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let row = 0; row < size.height; row++) {
      let from = (channel * full.height + row) * full.width;
      for (let column = 0; column < size.width; column++, place++, from++) {
        xHat[place] = Math.min(Math.max(alpha * z[place] - sigma * v[from], -2), 2);
      }
    }
  }
  return xHat;
}

/**
 * Reject with ModelUnavailable unless a denoiser reproduces the known values of its model.
 *
 * GPU drivers have errors, and a wrongly computed picture looks like one of low quality.
 *
 * @param {Denoiser} denoiser
 * @param {string} fingerprint
 */
export async function prove(denoiser, fingerprint) {
  const known = GOLDEN.values[fingerprint];
  if (!known) throw new ModelUnavailable(`nothing is known of ${fingerprint} to check it against`);
  const { height, width, snr, every } = GOLDEN;
  const count = CHANNELS * height * width;
  const eta = Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(i * i));
  const xHat = await denoiser(eta, { height, width }, snr);
  const off = known.some((value, i) => !(Math.abs(xHat[i * every] - value) < TOLERANCE));
  if (off) throw new ModelUnavailable(`the model ${fingerprint} comes out wrong on this device`);
}

/** @param {unknown} error */
function line(error) {
  return String(error instanceof Error ? error.message : error)
    .split("\n")[0]
    .slice(0, 200);
}
