/**
 * Renders pictures that look real, by continuing the chain without the sender.
 *
 * The posterior mean (mmse) is the best estimate of each pixel, and therefore blurred.  These
 * renderings sample what the observation leaves open, without another bit from the sender, by
 * continuing from the observation to a clean image:
 *
 * - ancestral: further refinements with samples that the receiver draws from the prior;
 * - flow: the probability-flow differential equation (ODE).  With s = 1 / sqrt(snr) and the noisy
 *   image u = eta / snr = x + s n it reads du / d ln s = u - x_hat(u, s).  It is integrated with
 *   x_hat linear in ln s, extrapolated from the last two evaluations (DPM-Solver++(2M)), so that a
 *   step costs one evaluation.
 *
 * Octaves that the stream has not opened, or only in part, are filled first (filled()).  Draws are
 * addressed by octave and position, so that successive pictures do not shimmer.
 *
 * @module
 */

import { Purpose, normals } from "../channel/randomness.js";
import { Observation } from "../diffusion/observation.js";
import * as octaves from "../diffusion/octaves.js";

/** @typedef {import("./chain.js").Chain} Chain */
/** @typedef {import("./after.js").After} After */
/** @typedef {import("./after.js").Projection} Projection */
/** @typedef {import("./forecast.js").Forecast} Forecast */
/** @typedef {import("../diffusion/observation.js").Held} Held */

/** snr at which the flow starts if nothing is known. */
const FIRST = 0.05;
/** snr at which an octave that the stream has not opened is opened here, unless past it. */
const OPENING = 1.0;
/** snr at which the posterior mean is nearly clean: it misses a grey level or two. */
const LAST = Math.exp(5.5);
const ANCESTRAL_GROWTH = 1.5;
/** Factor by which the observation's snr is lowered to fill an octave; there, detail is noise. */
const THINNING = 8.0;
/** Share of an octave's detail that is drawn, at least, before the flow goes on from there. */
const BEGINNING = 1 / 16;
/** Length of the flow's first step over that of the others: it knows no slope yet. */
const FIRST_STEP = 0.3;

// Steps that the flow takes through an octave, an evaluation each: from the thinned observation to
// the snr of the opening, and from there to the snr at which the next octave opens, or the last.
const FINEST = { filling: 2, onward: 4 };
const COARSER = { filling: 1, onward: 1 };

/**
 * Return a clean image at full resolution, continuing from `after`.
 *
 * @param {Chain} chain
 * @param {After} after
 * @param {{ ancestral: boolean }} options
 */
export async function continued(chain, after, { ancestral }) {
  let { observation, forecast, absent } = after;
  if (observation.snr === 0) {
    // The flow needs some noise to start from.
    observation = await refinedFromPrior(chain, observation, forecast, FIRST);
  }
  for (;;) {
    const { octave } = observation;
    const [steps, goal] = octave ? [COARSER, OPENING] : [FINEST, LAST];
    let onward = steps.onward;
    const energy = forecast.details[forecast.details.length - 1];
    if (absent) {
      observation = await filled(chain, observation, absent, energy, steps.filling);
    } else if (observation.field.share < 1) {
      observation = await completed(chain, observation, energy, steps.filling);
    } else {
      // Evaluations that filling does not need go to more, shorter steps.
      onward += steps.filling;
    }
    if (ancestral) {
      observation = await refinedFromPrior(chain, observation, forecast, goal);
    } else {
      const snrs = path(observation.snr, goal, onward, FIRST_STEP);
      observation = await flowed(chain, observation, whole(snrs));
    }
    const xHat = await chain.denoised(observation);
    if (!octave) return xHat;
    ({ opened: observation, absent } = chain.estimator.unheard(observation, xHat));
    forecast = forecast.opened(observation.snr, forecast.missing(0));
  }
}

/**
 * Return how many evaluations the flow takes, in units of `areas`, those of the octaves.
 *
 * @param {number[]} areas
 * @param {{ octave: number, snr: number, opening: boolean }} state  what it begins with
 */
export function flowCost(areas, { octave, snr, opening }) {
  let sum = 0;
  for (let at = octave; at >= 0; at--) {
    const steps = at ? COARSER : FINEST;
    const past = at === octave && !opening && snr >= (at ? OPENING : LAST);
    sum += areas[at] * (1 + (past ? 0 : steps.filling + steps.onward));
  }
  return sum;
}

/**
 * @param {Chain} chain
 * @param {Observation} observation
 * @param {Forecast} forecast
 * @param {number} goal
 */
async function refinedFromPrior(chain, observation, forecast, goal) {
  const growth = Math.log(goal / observation.snr) / Math.log(ANCESTRAL_GROWTH);
  const steps = observation.snr ? Math.max(1, rounded(growth)) : 1;
  const snrs = path(observation.snr, goal, steps);
  for (let number = 1; number <= snrs.length; number++) {
    const xHat = await chain.denoised(observation);
    // A long step's prior is wider than the noise by what the estimate misses.
    const delta = snrs[number - 1] - observation.snr;
    const wide = Math.fround(Math.sqrt(1 + delta * forecast.error(observation.snr)));
    const values = drawn(chain.seed, observation.octave, number, observation.dimensions);
    const y = values.map((value) => wide * value);
    observation = observation.refined(xHat, y, delta);
  }
  return observation;
}

/**
 * Follow the probability flow through `steps`, an evaluation each.
 *
 * After every step `held`, if given, restores the part that does not take part in the flow.
 *
 * @param {Chain} chain
 * @param {Observation} observation
 * @param {{ snr: number, share: number }[]} steps
 * @param {Held | null} [held]
 */
async function flowed(chain, observation, steps, held = null) {
  /** @type {{ xHat: Float32Array, length: number } | null} */
  let past = null;
  for (const { snr, share } of steps) {
    const xHat = await chain.denoised(observation);
    const step = 0.5 * Math.log((snr / observation.snr) * (share / observation.field.share));
    let ahead = xHat;
    if (past) {
      // In the middle of the step, extrapolated from the last one.
      const before = past.xHat;
      const slope = step / (2 * past.length);
      ahead = xHat.map((value, i) => value + slope * (value - before[i]));
    }
    past = { xHat, length: step };
    observation = observation.moved(ahead, snr, share, held);
  }
  return observation;
}

/**
 * Draw the part of an opening's detail that `absent` projects on.
 *
 * So far it is at its prediction, without noise; `energy` is its variance per value.  If detail
 * were independent, independent noise with the variance of detail and observation together would
 * do.  But an observation without edges and texture says that there are none, and half of the
 * detail would be lost.  So the octave is first observed at a smaller snr, where noise hides
 * detail: the receiver adds noise of its own to the known part, and the rest follows the flow up
 * to the snr of the known part.
 *
 * @param {Chain} chain
 * @param {Observation} opened
 * @param {Projection} absent
 * @param {number} energy
 * @param {number} steps
 */
async function filled(chain, opened, absent, energy, steps) {
  const { size, octave, snr } = opened;
  const low = new Float32Array(octaves.dimensions(octaves.coarser(size)));
  /** @param {Float32Array} u */
  const part = (u) => octaves.synthesis(low, absent(octaves.details(u, size)), size);
  const noise = drawn(chain.seed, octave, 0, opened.dimensions);
  const noiseAbsent = part(noise);
  const u = noisy(opened);
  const prediction = part(u);
  const known = u.map((value, i) => value - prediction[i]);
  const noiseKnown = noise.map((value, i) => value - noiseAbsent[i]);
  /** @type {Held} */
  const held = (moved, at) => {
    const more = Math.sqrt(Math.max(0, 1 / at - 1 / snr));
    const free = part(moved);
    return known.map((value, i) => value + free[i] + more * noiseKnown[i]);
  };
  const start = snr / THINNING;
  const wide = Math.sqrt(1 / start + energy);
  const thinned = prediction.map((value, i) => value + wide * noiseAbsent[i]);
  const beginning = at(opened, held(thinned, start), start);
  return flowed(chain, beginning, whole(path(start, snr, steps)), held);
}

/**
 * Follow the flow of an opening's detail from the share of it that is there to all of it.
 *
 * The rest stays as it is.  If nothing is known of the detail, a little is drawn first; `energy` is
 * its variance per value.
 *
 * @param {Chain} chain
 * @param {Observation} opened
 * @param {number} energy
 * @param {number} steps
 */
async function completed(chain, opened, energy, steps) {
  const { octave, size, snr } = opened;
  if (opened.field.share < BEGINNING) {
    const bands = octaves.details(await chain.denoised(opened), size);
    const wide = Math.sqrt(1 + BEGINNING * snr * energy);
    const noise = drawn(chain.seed, octave, 0, bands.length).map((value) => wide * value);
    opened = opened.begun(bands, noise, BEGINNING);
  }
  const shares = path(opened.field.share, 1, steps).map((share) => ({ snr, share }));
  return flowed(chain, opened, shares);
}

/**
 * Return `count` standard normals of the receiver's own: draw `number` in `octave`.
 *
 * They are addressed by position, so that successive pictures do not shimmer.
 *
 * @param {number} seed
 * @param {number} octave
 * @param {number} number
 * @param {number} count
 */
function drawn(seed, octave, number, count) {
  return normals(seed, Purpose.RENDERING, 256 * octave + number, count);
}

/**
 * Return steps through `snrs` with the whole detail present.
 *
 * @param {number[]} snrs
 */
function whole(snrs) {
  return snrs.map((snr) => ({ snr, share: 1 }));
}

/**
 * Return u = x + n / sqrt(snr).
 *
 * @param {Observation} observation
 */
function noisy({ eta, snr }) {
  return eta.map((value) => value / snr);
}

/**
 * @param {Observation} observation
 * @param {Float32Array} u
 * @param {number} snr
 */
function at({ size, octave }, u, snr) {
  return new Observation([u.map((value) => value * snr)], size, snr, octave);
}

/**
 * Return `steps` increasing snrs from just above `snr` to `goal`.
 *
 * They are geometric, except for the first step, which is shorter by the factor `first`.
 *
 * @param {number} snr
 * @param {number} goal
 * @param {number} steps
 * @param {number} [first]
 */
function path(snr, goal, steps, first = 1) {
  if (snr >= goal) return [];
  if (snr === 0 || steps === 1) return [goal];
  return Array.from(
    { length: steps },
    (_, i) => snr * (goal / snr) ** ((i + first) / (steps - 1 + first)),
  );
}

/**
 * Return the nearest integer, of two the even one.
 *
 * @param {number} value
 */
function rounded(value) {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 ? whole - 1 : whole;
}
