/**
 * The chain of observations that sender and receiver walk together.
 *
 * A Chain is one link of it: the state that both ends hold between two steps.  Links are immutable,
 * except for a cache of their own evaluations, so any link may be kept and continued again.
 *
 * @module
 */

import { Purpose, normals } from "../channel/randomness.js";
import { Rotation } from "../channel/rotation.js";
import * as trellis from "../channel/trellis.js";
import { Kind, Simulator, delta } from "../container/grammar.js";
import { Observation, openedSnr } from "../diffusion/observation.js";
import * as octaves from "../diffusion/octaves.js";
import * as symmetry from "../diffusion/symmetry.js";
import { CorruptStream, UnsupportedSimulator } from "../errors.js";
import { Forecast, mixed, worse } from "./forecast.js";

/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/grammar.js").Step} Step */
/** @typedef {import("../container/reader.js").Span} Span */
/** @typedef {import("../diffusion/field.js").Field} Field */
/** @typedef {import("../diffusion/octaves.js").Size} Size */

/**
 * The posterior mean of an octave given its observation: x_hat = E[x | eta], planes of `size`, for
 * eta = snr x + sqrt(snr) n, snr > 0; with noise of another `field`, white by default, it is what
 * Observation.eta says.  The result is its own, eta is not changed.  Rejects with UnsupportedStream
 * for a field that it does not know.
 *
 * @typedef {(eta: Float32Array, size: Size, snr: number, field?: Field) => Promise<Float32Array>}
 *   Denoiser
 */

/**
 * From detail bands to detail bands.
 *
 * @typedef {(bands: Float32Array) => Float32Array} Projection
 */

/**
 * The state after a step, or after the part of it that has arrived.
 *
 * A refinement gains snr in proportion to `received`, the fraction of the step's values that
 * arrived; an opening cannot, so detail that did not arrive stays at its prediction, without noise.
 * `absent` projects detail bands on the part of an opening that has not arrived; null if all has.
 * `expected` is the expected error of the posterior mean.
 *
 * @typedef {{ observation: Observation, forecast: Forecast, received: number,
 *   absent: Projection | null, expected: import("./forecast.js").Expected }} After
 */

/**
 * The state that all links of a chain share; `evaluations` counts those of the denoiser so far, in
 * units of one at full resolution.
 *
 * @typedef {{ denoiser: Denoiser, sizes: Size[], seed: number, evaluations: number }} Shared
 */

const NAMES = ["trellis", "pfr", "dither"];

/**
 * Throw unless `step` can come next in an octave; called before anything is allocated for it.
 *
 * `refined` is over how many values a refinement runs, `finer` the size of the next finer octave,
 * if it may be opened.  Throws CorruptStream or UnsupportedSimulator; returns over how many values
 * the step runs.
 *
 * @param {Step} step
 * @param {number} refined
 * @param {Size | undefined} finer
 * @param {number} offset
 */
export function admit(step, refined, finer, offset) {
  if (step.simulator !== Simulator.TRELLIS) throw new UnsupportedSimulator(NAMES[step.simulator]);
  if (step.kind === Kind.OPEN && !finer) {
    throw new CorruptStream("there is no finer octave to open", offset);
  }
  const opens = step.kind === Kind.OPEN && finer;
  const dims = opens ? octaves.detailDimensions(finer) : refined;
  if (!trellis.admits(dims, step.length)) {
    throw new CorruptStream(`a step of ${step.length} bytes over ${dims} values`, offset);
  }
}

/** An observation that is being refined, and what else both ends know. */
export class Chain {
  /** @type {Shared} */
  #shared;
  /** @type {Float32Array | null} */
  #estimate = null;
  /** @type {{ observation: Observation, xHat: Float32Array } | null} */
  #shown = null;
  /** @type {{ symmetries: number, shown: number, x: Float32Array } | null} */
  #foreseen = null;

  /**
   * @param {Shared} shared
   * @param {Observation} observation
   * @param {Forecast} forecast
   * @param {{ steps: number, sentSnr: number, lost: number }} past
   */
  constructor(shared, observation, forecast, { steps, sentSnr, lost }) {
    this.#shared = shared;
    this.observation = observation;
    this.forecast = forecast;
    /** How many steps there were so far. */
    this.steps = steps;
    /** The sender's snr: the observation's, unless parts of steps are lost. */
    this.sentSnr = sentSnr;
    /** What lost parts of steps would have taken off the mean squared error. */
    this.lost = lost;
  }

  /**
   * Return the chain of a picture at its beginning: at snr 0 in the coarsest octave.
   *
   * @param {Denoiser} denoiser
   * @param {Pick<Header, "height" | "width" | "seed" | "ratio">} header
   */
  static beginning(denoiser, header) {
    const sizes = octaves.sizes(header);
    const coarsest = sizes.length - 1;
    const shared = { denoiser, sizes, seed: header.seed, evaluations: 0 };
    const { ratio } = header;
    const nothing = Observation.nothing(sizes[coarsest], coarsest, { ratio, share: 1 });
    return new Chain(shared, nothing, new Forecast({ ratio }), { steps: 0, sentSnr: 0, lost: 0 });
  }

  /** The size of every octave, finest first. */
  get sizes() {
    return this.#shared.sizes;
  }

  /** Denoiser evaluations of all links so far, in units of one at full resolution. */
  get evaluations() {
    return this.#shared.evaluations;
  }

  /** Whether the estimate of the octave observed is known without another evaluation. */
  get estimated() {
    return this.#estimate !== null || this.observation.snr === 0;
  }

  /** Bytes of memory that this link takes. */
  get bytes() {
    let sum = this.observation.bytes + (this.#shown?.observation.bytes ?? 0);
    for (const data of [this.#estimate, this.#shown?.xHat, this.#foreseen?.x]) {
      sum += data ? data.byteLength : 0;
    }
    return sum;
  }

  /** Drop the cache of rendered pictures. */
  forget() {
    this.#shown = this.#foreseen = null;
  }

  /**
   * Return x_hat of the octave observed; zeros while nothing is known.
   *
   * @returns {Promise<Float32Array>}
   */
  async estimate() {
    this.#estimate ??= await this.#evaluated(this.observation);
    return this.#estimate;
  }

  /**
   * Return x_hat of any observation of this picture.
   *
   * It reuses what the chain or its last mean() has evaluated already.
   *
   * @param {Observation} observation
   * @returns {Promise<Float32Array>}
   */
  async denoised(observation) {
    if (observation === this.observation) return this.estimate();
    if (observation === this.#shown?.observation) return this.#shown.xHat;
    return this.#evaluated(observation);
  }

  /**
   * @param {Observation} observation
   * @returns {Promise<Float32Array>}
   */
  async #evaluated(observation) {
    const { eta, size, snr, field } = observation;
    if (snr === 0) return new Float32Array(eta.length);
    const fine = await this.#denoised(eta, size, snr, field);
    return this.#joined(observation, fine, (coarser) => this.denoised(coarser));
  }

  /**
   * @param {Float32Array} eta
   * @param {Size} size
   * @param {number} snr
   * @param {Field} field
   */
  async #denoised(eta, size, snr, field) {
    const xHat = await this.#shared.denoiser(eta, size, snr, field);
    this.#shared.evaluations += octaves.area(size) / octaves.area(this.sizes[0]);
    return xHat;
  }

  /** Pixels to evaluate for the next step, of whatever kind; 0 while nothing is known. */
  get cost() {
    return this.observation.snr ? octaves.area(this.observation.size) : 0;
  }

  /** The size of the next finer octave; undefined if there is none. */
  get finer() {
    return this.sizes[this.observation.octave - 1];
  }

  /**
   * Return the receiver's prediction: x_hat, or the detail bands of x_hat enlarged.
   *
   * @param {number} kind
   */
  async prediction(kind) {
    const xHat = await this.estimate();
    return kind === Kind.REFINE ? xHat : this.#detail(xHat, this.observation);
  }

  /**
   * Return the detail that interpolation predicts one octave on.
   *
   * @param {Float32Array} xHat
   * @param {Observation} observation
   */
  #detail(xHat, { size, octave }) {
    const finer = this.sizes[octave - 1];
    return octaves.details(octaves.upsampled(xHat, size, finer), finer);
  }

  /**
   * Return `count` standard normals of the receiver's own: draw `number` in `octave`.
   *
   * They are addressed by position, so that successive pictures do not shimmer.
   *
   * @param {number} octave
   * @param {number} number
   * @param {number} count
   */
  drawn(octave, number, count) {
    return normals(this.#shared.seed, Purpose.RENDERING, 256 * octave + number, count);
  }

  /**
   * Throw CorruptStream or UnsupportedSimulator unless `step` can come next.
   *
   * @param {Step} step
   * @param {number} [offset]
   */
  admit(step, offset = 0) {
    const finer = this.observation.snr > 0 ? this.finer : undefined;
    admit(step, this.observation.dimensions, finer, offset);
  }

  /**
   * Return the chain after an admitted step whose whole payload has arrived, but for what is `lost`.
   *
   * @param {Step} step
   * @param {Uint8Array} payload
   * @param {Span[]} [lost]
   */
  async advanced(step, payload, lost) {
    const came = await this.after(step, payload, lost);
    const { observation, forecast, received } = came;
    const sentSnr = this.#sent(step);
    const more = received < 1 ? (1 - received) * this.#gained(came, sentSnr) : 0;
    const past = { steps: this.steps + 1, sentSnr, lost: this.lost + more };
    const after = new Chain(this.#shared, observation, forecast, past);
    // The forecast before the opening holds for an octave that was just opened.
    if (observation.origin === this.observation && this.#estimate) {
      after.#shown = { observation: this.observation, xHat: this.#estimate };
    }
    return after;
  }

  /**
   * Return the sender's snr after `received` of a step.
   *
   * @param {Step} step
   * @param {number} [received]
   */
  #sent(step, received = 1) {
    if (step.kind === Kind.REFINE) return this.sentSnr + received * delta(step.deltaCode);
    return openedSnr(this.sentSnr, this.forecast.ratio);
  }

  /**
   * Return by how much the whole step would have reduced the mean squared error.
   *
   * @param {After} after
   * @param {number} sent the sender's snr after it
   */
  #gained(after, sent) {
    const { octave } = this.observation;
    const { forecast, observation } = after;
    const refines = observation.octave === octave;
    const before = (refines ? forecast : this.forecast).expected(this.sentSnr, octave);
    return Math.max(0, before.error - forecast.expected(sent, observation.octave).error);
  }

  /**
   * Return the state after `step` with `payload`, or with the first part of it.
   *
   * Its parts `lost` may have any values: the observation goes on without them, from the receiver's
   * own estimate, while the sender's has them (docs/decisions/0034).
   *
   * @param {Step} step
   * @param {Uint8Array} payload
   * @param {Span[]} [lost]
   * @returns {Promise<After>}
   */
  async after(step, payload, lost = []) {
    const before = this.observation;
    const refines = step.kind === Kind.REFINE;
    const dims = refines
      ? before.dimensions
      : octaves.detailDimensions(this.sizes[before.octave - 1]);
    const { values, there, energy } = trellis.reproduce(payload, dims, step.length, lost);
    if (!there) return this.#notYet(step);
    const received = there / dims;
    const prediction = await this.prediction(step.kind);
    const rotation = new Rotation(dims, this.#shared.seed, this.steps);
    const y = rotation.inverse(values);
    if (refines) {
      const gained = delta(step.deltaCode);
      const observation = before.refined(prediction, y, gained, received);
      const forecast = this.forecast.refined(this.sentSnr, energy / gained);
      const expected = forecast.expected(this.#sent(step, received), observation.octave);
      return {
        observation,
        forecast,
        received,
        absent: null,
        expected: worse(expected, this.lost),
      };
    }
    const sent = this.#sent(step);
    const finer = this.sizes[before.octave - 1];
    const observation = before.opened(prediction, y, finer, received, sent);
    const forecast = this.forecast.opened(sent, energy / sent);
    const expected = mixed(
      this.forecast.expected(this.sentSnr, before.octave),
      forecast.expected(sent, observation.octave),
      received,
    );
    /** @param {Float32Array} bands */
    const absent = (bands) =>
      rotation.inverse(rotation.forward(bands).map((value, i) => (values[i] ? 0 : value)));
    return {
      observation,
      forecast,
      received,
      absent: there < dims && before.white ? absent : null,
      expected: worse(expected, this.lost),
    };
  }

  /**
   * Return the state when a step has begun and none of its values has arrived.
   *
   * @param {Step} step
   * @returns {Promise<After>}
   */
  async #notYet(step) {
    const now = { ...this.now(), received: 0 };
    if (step.kind === Kind.REFINE) return now;
    const { opened, absent } = this.unheard(this.observation, await this.estimate());
    // How much detail is missing becomes known with the step only.
    const forecast = this.forecast.opened(this.#sent(step), this.forecast.missing(0));
    return { ...now, observation: opened, forecast, absent };
  }

  /**
   * Return an observation of an opened octave without any of its detail, and what is absent.
   *
   * Shaped noise says that nothing is known of it; white noise cannot, and the detail lies at its
   * prediction, the interpolation of the estimate `xHat`, without noise.
   *
   * @param {Observation} observation
   * @param {Float32Array} xHat
   * @returns {{ opened: Observation, absent: Projection | null }}
   */
  unheard(observation, xHat) {
    const size = this.sizes[observation.octave - 1];
    if (!observation.white) return { opened: observation.widened(size), absent: null };
    const opened = observation.opened(this.#detail(xHat, observation), null, size, 1);
    return { opened, absent: (whole) => whole };
  }

  /**
   * Return the posterior mean given `after`, of octave `shown` or a coarser one.
   *
   * The next finer octave, if there is one of use, is foreseen (#finerMean).  Estimates are
   * averaged over the first `symmetries`, 1 to 8, mirror images and turns.
   *
   * While an opening arrives, its detail is observed in part only, which a denoiser of white noise
   * cannot take into account; so the picture is blended from those before and after, in proportion.
   *
   * @param {After} after
   * @param {{ symmetries?: number, shown?: number }} [options]
   * @returns {Promise<{ x: Float32Array, octave: number }>}
   */
  async mean(after, { symmetries = 1, shown = 0 } = {}) {
    const seen = after.observation;
    if (seen !== this.observation && seen !== this.#shown?.observation) {
      this.#shown = { observation: seen, xHat: await this.denoised(seen) };
    }
    let x = await this.#averaged(seen, symmetries);
    let octave = seen.octave;
    const opening = octave < this.observation.octave;
    if (opening && after.received < 1 && seen.white) {
      const share = after.received;
      const before = await this.#beforeOpening(symmetries, shown);
      if (shown > octave) {
        x = octaves.means(x, this.sizes[octave]);
        octave += 1;
      }
      x = x.map((value, i) => share * value + (1 - share) * before[i]);
    } else if (octave > shown && seen.snr && (seen.field.share === 1 || !opening)) {
      x = await this.#finerMean(seen, x, symmetries);
      octave -= 1;
    }
    if (octave <= shown) return { x, octave };
    return { x: octaves.enlarged(x, this.sizes.slice(shown, octave + 1)), octave: shown };
  }

  /**
   * Return the picture as it was before the opening that is arriving.
   *
   * In the octave that is being opened, or in this one if nothing finer than it is shown: what
   * is foreseen of the finer one has exactly these means.
   *
   * @param {number} symmetries
   * @param {number} shown
   */
  async #beforeOpening(symmetries, shown) {
    const octave = this.observation.octave;
    const known = this.#foreseen;
    if (known?.symmetries === symmetries && known.shown >= octave === shown >= octave) {
      return known.x;
    }
    let x = await this.#averaged(this.observation, symmetries);
    if (shown < octave) x = await this.#finerMean(this.observation, x, symmetries);
    this.#foreseen = { symmetries, shown, x };
    return x;
  }

  /**
   * Return the posterior mean of the next finer octave given an observation of this one.
   *
   * Its low band is `xHat`.  Its detail is the denoiser's estimate for the octave opened without
   * any detail, which is better than interpolation by 0.02 to 0.16 dB (docs/decisions/0011).
   *
   * @param {Observation} observation
   * @param {Float32Array} xHat
   * @param {number} symmetries
   */
  async #finerMean(observation, xHat, symmetries) {
    const { opened } = this.unheard(observation, xHat);
    const { size } = opened;
    const fine = await this.#fine(opened, symmetries);
    const low = xHat.map((value) => 2 * value);
    return octaves.synthesis(low, octaves.details(fine, size), size);
  }

  /**
   * @param {Observation} observation
   * @param {number} symmetries
   * @returns {Promise<Float32Array>}
   */
  async #averaged(observation, symmetries) {
    if (symmetries === 1 || observation.snr === 0) return this.denoised(observation);
    const fine = await this.#fine(observation, symmetries);
    return this.#joined(observation, fine, (coarser) => this.#averaged(coarser, symmetries));
  }

  /**
   * Return the denoiser's estimate of this octave alone, averaged over symmetries.
   *
   * @param {Observation} observation
   * @param {number} symmetries
   * @returns {Promise<Float32Array>}
   */
  #fine(observation, symmetries) {
    const { eta, size, snr, field } = observation;
    return symmetry.averaged(
      (turned, as) =>
        turned === eta && observation.white
          ? this.denoised(observation)
          : this.#denoised(turned, as, snr, field),
      eta,
      size,
      symmetries,
    );
  }

  /**
   * Return `fine`, joined with the `estimate` of the coarser octave if that is told.
   *
   * @param {Observation} observation
   * @param {Float32Array} fine
   * @param {(coarser: Observation) => Promise<Float32Array>} estimate
   */
  async #joined(observation, fine, estimate) {
    const coarser = observation.coarser();
    return coarser ? observation.joined(fine, await estimate(coarser)) : fine;
  }

  /**
   * Return the present state, between two steps.
   *
   * @returns {After}
   */
  now() {
    const { observation, forecast } = this;
    const expected = worse(forecast.expected(this.sentSnr, observation.octave), this.lost);
    return { observation, forecast, received: 1, absent: null, expected };
  }
}
