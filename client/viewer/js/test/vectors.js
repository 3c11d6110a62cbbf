/** What the Python receiver gives, and the exact denoiser of its tests' Gaussian source. */

import assert from "node:assert/strict";
import { WHITE, precisions, transformed, untransformed } from "../src/diffusion/field.js";
import { coarser, sizes } from "../src/diffusion/octaves.js";
import { golden } from "./golden.js";

/** @typedef {import("../src/diffusion/octaves.js").Size} Size */

export const VECTORS = golden("receiver.json");

/** Sides of the exact denoiser's pictures have at most so many values. */
const MOST = 64;
const ANGLES = Float64Array.from({ length: MOST / 2 }, (_, k) => (2 * Math.PI * k) / MOST);
const [COSINES, SINES] = [ANGLES.map(Math.cos), ANGLES.map(Math.sin)];
/** Where a line is put together. */
const [REAL, IMAGINARY] = [new Float64Array(MOST), new Float64Array(MOST)];

/**
 * Values that are easily had in any language: 2 sin(i^2).
 *
 * @param {number} count
 */
export function waves(count) {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(i * i));
}

/**
 * Assert that every `every`th of the values is what is known of them.
 *
 * @param {ArrayLike<number>} values
 * @param {number[]} known
 * @param {number} tolerance
 * @param {number} [every]
 */
export function near(values, known, tolerance, every = 1) {
  assert.equal(Math.ceil(values.length / every), known.length);
  known.forEach((value, i) => {
    const off = Math.abs(values[i * every] - value);
    assert.ok(off <= tolerance, `value ${i}: ${values[i * every]}, not ${value}`);
  });
}

/**
 * Return the exact denoiser of a Gaussian source on a torus, of power spectrum
 * 1 / (1 + f^2.4), variance 0.35 and sides of MOST or a smaller power of two.
 *
 * @param {Size} whole
 */
export function gaussian({ height, width }) {
  let spectrum = Float64Array.from({ length: height * width }, (_, i) => {
    const [v, u] = [frequency(Math.floor(i / width), height), frequency(i % width, width)];
    return 1 / (1 + Math.hypot(u, v) ** 2.4);
  });
  const mean = spectrum.reduce((sum, value) => sum + value, 0) / spectrum.length;
  spectrum = spectrum.map((value) => (value * 0.35) / mean);
  /** @type {Map<number, Float64Array>} */
  const spectra = new Map([[height, spectrum]]);
  for (const size of sizes({ height, width }).slice(1)) {
    spectrum = halved(spectrum, { height: size.height * 2, width: size.width * 2 });
    spectra.set(size.height, spectrum);
  }
  /** @type {import("../src/codec/estimator.js").Denoiser} */
  return async (eta, size, snr) => {
    const power = /** @type {Float64Array} */ (spectra.get(size.height));
    const plane = size.height * size.width;
    const xHat = new Float32Array(eta.length);
    for (let channel = 0; channel < 3; channel++) {
      const real = Float64Array.from(eta.subarray(channel * plane, (channel + 1) * plane));
      const imaginary = new Float64Array(plane);
      fourier(real, imaginary, size, -1);
      for (let i = 0; i < plane; i++) {
        const gain = power[i] / (1 + snr * power[i]) / plane;
        real[i] *= gain;
        imaginary[i] *= gain;
      }
      fourier(real, imaginary, size, 1);
      xHat.set(real, channel * plane);
    }
    return xHat;
  };
}

/**
 * The denoiser of detail that knows nothing of the rest, weaker from scale to scale; any size.
 *
 * It knows noise of any field: the means have the variance 0.3, the coarsest detail 0.05 and the next
 * finer one half of that, each in the octave that it is the detail of.
 *
 * @type {import("../src/codec/estimator.js").Denoiser}
 */
export const byScale = async (eta, size, snr, field = WHITE) => {
  const scales = sizes(size).length - 1;
  const precision = precisions(field, scales);
  const whole = precisions({ ...field, share: 1 }, scales);
  const estimate = transformed(eta, size, scales).map((band, scale) => {
    const detail = 0.05 * 0.5 ** (scales - 1 - scale) * 4 ** scale;
    const variance = scale < scales ? detail : 0.3 * 4 ** scales;
    const gain = (variance * whole[scale]) / (1 + variance * snr * precision[scale]);
    return band.map((value) => gain * value);
  });
  return untransformed(estimate, size);
};

/** @param {number} i @param {number} count */
function frequency(i, count) {
  return i < count / 2 ? i : i - count;
}

/**
 * The spectrum of the means of 2x2 blocks: filter, then fold the aliases.
 *
 * @param {Float64Array} spectrum
 * @param {Size} size
 */
function halved(spectrum, { height, width }) {
  const half = coarser({ height, width });
  const folded = new Float64Array(half.height * half.width);
  spectrum.forEach((value, i) => {
    const [v, u] = [Math.floor(i / width), i % width];
    const filter = Math.cos((Math.PI * v) / height) ** 2 * Math.cos((Math.PI * u) / width) ** 2;
    folded[(v % half.height) * half.width + (u % half.width)] += (value * filter) / 4;
  });
  return folded;
}

/**
 * The Fourier transform in two dimensions, in place, unscaled.
 *
 * @param {Float64Array} real
 * @param {Float64Array} imaginary
 * @param {Size} size
 * @param {number} sign
 */
function fourier(real, imaginary, { height, width }, sign) {
  for (let row = 0; row < height; row++) line(real, imaginary, row * width, 1, width, sign);
  for (let column = 0; column < width; column++) {
    line(real, imaginary, column, width, height, sign);
  }
}

/**
 * The Fourier transform of `count` values, a power of two, that are `stride` apart: even and odd
 * places first, each in half the time.
 *
 * @param {Float64Array} real
 * @param {Float64Array} imaginary
 * @param {number} first
 * @param {number} stride
 * @param {number} count
 * @param {number} sign
 */
function line(real, imaginary, first, stride, count, sign) {
  if (count === 1) return;
  const half = count / 2;
  line(real, imaginary, first, 2 * stride, half, sign);
  line(real, imaginary, first + stride, 2 * stride, half, sign);
  for (let k = 0; k < half; k++) {
    const [even, odd] = [first + 2 * k * stride, first + (2 * k + 1) * stride];
    const [c, s] = [COSINES[k * (MOST / count)], sign * SINES[k * (MOST / count)]];
    const x = real[odd] * c - imaginary[odd] * s;
    const y = real[odd] * s + imaginary[odd] * c;
    REAL[k] = real[even] + x;
    IMAGINARY[k] = imaginary[even] + y;
    REAL[k + half] = real[even] - x;
    IMAGINARY[k + half] = imaginary[even] - y;
  }
  for (let k = 0; k < count; k++) {
    real[first + k * stride] = REAL[k];
    imaginary[first + k * stride] = IMAGINARY[k];
  }
}
