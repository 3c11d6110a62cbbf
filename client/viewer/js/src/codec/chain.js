/**
 * The chain of observations that sender and receiver walk together.
 *
 * A Chain is one link of it: the state that both ends hold between two steps.  Links are immutable,
 * except for a cache of their own evaluations, so any link may be kept and continued again.
 *
 * @module
 */

import { Rotation } from "../channel/rotation.js";
import * as trellis from "../channel/trellis.js";
import { Kind, delta } from "../container/grammar.js";
import { Observation, openedSnr } from "../diffusion/observation.js";
import * as octaves from "../diffusion/octaves.js";
import { admit } from "./admission.js";
import { Estimator } from "./estimator.js";
import { Forecast, mixed, worse } from "./forecast.js";

/** @typedef {import("./after.js").After} After */
/** @typedef {import("./estimator.js").Denoiser} Denoiser */
/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/grammar.js").Step} Step */
/** @typedef {import("../container/reader.js").Span} Span */
/** @typedef {import("../diffusion/reference.js").ReferencePicture} ReferencePicture */

/** An observation that is being refined, and what else both ends know. */
export class Chain {
  /** @type {Float32Array | null} */
  #estimate = null;
  /** @type {{ observation: Observation, xHat: Float32Array } | null} */
  #shown = null;
  /** @type {{ symmetries: number, shown: number, x: Float32Array } | null} */
  #foreseen = null;

  /**
   * @param {Estimator} estimator
   * @param {number} seed
   * @param {Observation} observation
   * @param {Forecast} forecast
   * @param {{ steps: number, sentSnr: number, lost: number }} past
   */
  constructor(estimator, seed, observation, forecast, { steps, sentSnr, lost }) {
    this.estimator = estimator;
    this.seed = seed;
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
   * With a `reference`, which needs shaped noise, both ends have a picture from the start.
   *
   * @param {Denoiser} denoiser
   * @param {Pick<Header, "height" | "width" | "seed" | "ratio">} header
   * @param {ReferencePicture | null} [reference]
   */
  static beginning(denoiser, header, reference = null) {
    const sizes = octaves.sizes(header);
    const coarsest = sizes.length - 1;
    const { ratio, seed } = header;
    const nothing = Observation.nothing(sizes[coarsest], coarsest, { ratio, share: 1 });
    const forecast = Forecast.beginning(ratio, reference?.trust ?? null);
    const past = { steps: 0, sentSnr: 0, lost: 0 };
    return new Chain(new Estimator(denoiser, sizes, reference), seed, nothing, forecast, past);
  }

  /** The size of every octave, finest first. */
  get sizes() {
    return this.estimator.sizes;
  }

  /** The picture that both ends have from the start; null if there is none. */
  get reference() {
    return this.estimator.reference;
  }

  /** Denoiser evaluations of all links so far, in units of one at full resolution. */
  get evaluations() {
    return this.estimator.evaluations;
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
   * Return x_hat of the octave observed; while nothing is, the reference's, or zeros.
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

  /** @param {Observation} observation */
  #evaluated(observation) {
    return this.estimator.evaluated(observation, (coarser) => this.denoised(coarser));
  }

  /** Pixels to evaluate for the next step, of whatever kind; 0 while nothing is known. */
  get cost() {
    return this.observation.snr ? octaves.area(this.observation.size) : 0;
  }

  /**
   * Return the chain with another second estimate from here on.
   *
   * @param {ReferencePicture} reference
   */
  seconded(reference) {
    const { observation, steps, sentSnr, lost } = this;
    const estimator = this.estimator.seconded(reference);
    const forecast = this.forecast.seconded(reference.trust);
    return new Chain(estimator, this.seed, observation, forecast, { steps, sentSnr, lost });
  }

  /** Return what the estimate tells of the whole picture, evaluating no more. */
  async guess() {
    return this.estimator.enlarged(await this.estimate(), this.observation.octave, 0);
  }

  /**
   * Throw CorruptStream or UnsupportedSimulator unless `step` can come next.
   *
   * @param {Step} step
   * @param {number} [offset]
   */
  admit(step, offset = 0) {
    const { octave, snr } = this.observation;
    const finer = snr > 0 ? this.sizes[octave - 1] : undefined;
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
    const after = new Chain(this.estimator, this.seed, observation, forecast, past);
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
    const xHat = await this.estimate();
    // What the receiver expects.
    const prediction = refines ? xHat : this.estimator.detail(xHat, before);
    const rotation = new Rotation(dims, this.seed, this.steps);
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
    const { opened, absent } = this.estimator.unheard(this.observation, await this.estimate());
    // How much detail is missing becomes known with the step only.
    const forecast = this.forecast.opened(this.#sent(step), this.forecast.missing(0));
    return { ...now, observation: opened, forecast, absent };
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
    return { x: this.estimator.enlarged(x, octave, shown), octave: shown };
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
    const { opened } = this.estimator.unheard(observation, xHat);
    const { size } = opened;
    const fine = await this.#fine(opened, symmetries);
    const low = xHat.map((value) => 2 * value);
    const bands = this.estimator.expected(octaves.details(fine, size), opened.octave);
    return octaves.synthesis(low, bands, size);
  }

  /**
   * @param {Observation} observation
   * @param {number} symmetries
   * @returns {Promise<Float32Array>}
   */
  async #averaged(observation, symmetries) {
    if (symmetries === 1 || observation.snr === 0) return this.denoised(observation);
    const fine = await this.#fine(observation, symmetries);
    return this.estimator.joined(observation, fine, (coarser) =>
      this.#averaged(coarser, symmetries),
    );
  }

  /** @param {Observation} observation @param {number} symmetries */
  #fine(observation, symmetries) {
    return this.estimator.fine(observation, symmetries, (seen) => this.denoised(seen));
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
