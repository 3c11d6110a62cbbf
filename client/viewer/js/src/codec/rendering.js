/**
 * Renders pictures by any method, and the observation itself.
 *
 * @module
 */

import * as octaves from "../diffusion/octaves.js";
import { COUNT } from "../diffusion/symmetry.js";
import { continued, flowCost } from "./continuation.js";

/** @typedef {import("./chain.js").Chain} Chain */
/** @typedef {import("./after.js").After} After */

/**
 * How to render: by name, or anywhere from mmse (0) to flow (1) by a number, the realism dial.
 *
 * @typedef {"mmse" | "flow" | "ancestral" | number} Method
 */

/**
 * `symmetries` averages mmse over so many (1 to 8) mirror images and quarter turns of the
 * observation, with an evaluation for each.  `maxSide` halves the picture until its longer side
 * fits.
 *
 * @typedef {{ method?: Method, symmetries?: number, maxSide?: number | null }} Options
 */

/**
 * 8-bit sRGB, RGBA, row after row, opaque.
 *
 * @typedef {{ pixels: Uint8ClampedArray<ArrayBuffer>, width: number, height: number }} Picture
 */

const METHODS = ["mmse", "flow", "ancestral"];

/**
 * Return `options` with all defaults, and the ends of the dial by their names.
 *
 * Throws RangeError for values out of range.
 *
 * @param {Options} options
 * @returns {{ method: Method, symmetries: number, maxSide: number | null }}
 */
export function plain({ method = "mmse", symmetries = 1, maxSide = null }) {
  if (!(Number.isInteger(symmetries) && symmetries >= 1 && symmetries <= COUNT)) {
    throw new RangeError(`${symmetries} symmetries: there are 1 to ${COUNT}`);
  }
  if (typeof method === "number") {
    if (!(method >= 0 && method <= 1)) {
      throw new RangeError(`realism is a number from 0 to 1, not ${method}`);
    }
    if (method === 0 || method === 1) method = method ? "flow" : "mmse";
  } else if (!METHODS.includes(method)) {
    throw new RangeError(`pictures are rendered as mmse, flow or ancestral, not ${method}`);
  }
  return { method, symmetries, maxSide };
}

/**
 * Render the picture of the state `after` a link of the chain.
 *
 * A number r as method gives (1 - r) mmse + r flow, from the smallest error to the most natural
 * look.  A reduced picture by mmse takes no evaluations of the finer octaves.
 *
 * @param {Chain} chain
 * @param {After} after
 * @param {Options} options
 * @returns {Promise<Picture>}
 */
export async function rendered(chain, after, options) {
  const { method, symmetries, maxSide } = plain(options);
  let x;
  let octave = 0;
  if (method === "mmse") {
    ({ x, octave } = await chain.mean(after, {
      symmetries,
      shown: shownOctave(chain.sizes, maxSide),
    }));
  } else if (typeof method === "string") {
    x = await continued(chain, after, { ancestral: method === "ancestral" });
  } else {
    const { x: mean } = await chain.mean(after, { symmetries });
    const flow = await continued(chain, after, { ancestral: false });
    x = mean.map((value, i) => value + method * (flow[i] - value));
  }
  let size = chain.sizes[octave];
  while (maxSide !== null && !fits(size, maxSide)) {
    x = octaves.means(x, size);
    size = octaves.coarser(size);
  }
  return { pixels: octaves.pixels(x, size), ...size };
}

/**
 * Return roughly how many evaluations rendered() takes, in units of one at full resolution.
 *
 * @param {octaves.Size[]} sizes
 * @param {{ octave: number, snr: number, opening: boolean }} state  at its start; `opening` says
 *   that some of the octave's detail has not arrived
 * @param {Options} options
 */
export function renderingCost(sizes, state, options) {
  const { method, symmetries, maxSide } = plain(options);
  const areas = sizes.map((size) => octaves.area(size) / octaves.area(sizes[0]));
  const shown = method === "mmse" ? shownOctave(sizes, maxSide) : 0;
  const finer = state.octave > shown ? areas[state.octave - 1] : 0;
  const mean = symmetries * (areas[state.octave] + finer);
  if (method === "mmse") return mean;
  return flowCost(areas, state) + (typeof method === "number" ? mean : 0);
}

/**
 * Return the observation itself as a picture, its pixels enlarged: z = alpha x + sigma n.
 *
 * @param {Chain} chain
 * @param {After} after
 * @returns {Picture}
 */
export function observed(chain, { observation }) {
  const { size, octave } = observation;
  const { height, width } = chain.sizes[0];
  const small = new Uint32Array(octaves.pixels(observation.z(), size).buffer);
  const large = new Uint32Array(height * width);
  for (let row = 0; row < height; row++) {
    const line = (row >> octave) * size.width;
    for (let column = 0; column < width; column++) {
      large[row * width + column] = small[line + (column >> octave)];
    }
  }
  return { pixels: new Uint8ClampedArray(large.buffer), height, width };
}

/**
 * @param {octaves.Size[]} sizes
 * @param {number | null} maxSide
 */
function shownOctave(sizes, maxSide) {
  if (maxSide === null) return 0;
  const octave = sizes.findIndex((size) => fits(size, maxSide));
  return octave < 0 ? sizes.length - 1 : octave;
}

/**
 * @param {octaves.Size} size
 * @param {number} maxSide
 */
function fits(size, maxSide) {
  return Math.max(size.height, size.width) <= Math.max(1, maxSide);
}
