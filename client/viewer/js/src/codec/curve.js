/**
 * The rate-distortion curve of a stream, computed from the stream alone.
 *
 * Every step states the error of the estimate that it starts from, every opening the energy of the
 * detail that was missing.  So the later steps tell the error at a byte exactly, which a receiver
 * at that byte could only predict.  It takes neither a model nor the picture, and decodes nothing.
 *
 * @module
 */

import { cosineSquared } from "../channel/trellis.js";
import { Kind, Simulator, delta } from "../container/grammar.js";
import { StreamReader } from "../container/reader.js";
import { openedSnr, refinement } from "../diffusion/observation.js";
import * as octaves from "../diffusion/octaves.js";
import { CorruptStream, StreamError } from "../errors.js";
import { DETAIL_SHARE, Forecast, decibel } from "./forecast.js";
import { trusted } from "./held.js";

/** Most steps of a stream; pictures have about a hundred, invalid streams may have millions. */
export const MOST_STEPS = 10_000;

/**
 * The state after a step: the octave, its snr, the error of the estimate (mean square per value of
 * this octave, first predicted, later as stated) and how many octaves were opened so far.
 *
 * @typedef {{ octave: number, snr: number, error: number, opened: number }} Point
 */

/**
 * The curve of a stream that is fed in pieces.
 *
 * Bytes that cannot be parsed end the curve without an error, which the decoder throws.  The curve of
 * a clip, whose pictures have a quality each, ends with its header.
 */
export class Curve {
  /**
   * Offsets after the header and after each complete step, including its last check once that has
   * arrived.
   *
   * @type {number[]}
   */
  offsets = [];

  #reader = new StreamReader();
  /** @type {octaves.Size[]} */
  #sizes = [];
  /** @type {Point[]} */
  #points = [];
  /** The octave that each opening opens, and its offset. @type {[number, number][]} */
  #openings = [];
  #ratio = 1;
  #forecast = new Forecast();
  /** @type {import("../container/grammar.js").Step | null} */
  #step = null;
  #left = 0;
  #ended = false;

  /** The picture's size; null before the header has arrived. */
  get size() {
    return this.#sizes[0] ?? null;
  }

  /** What the header says of several pictures; null for a single one, and before it is here. */
  get clip() {
    return this.#reader.header?.clip ?? null;
  }

  /**
   * The offset of the first picture, after the first step, or after the header if that names a
   * picture to start from; undefined before that is here.
   *
   * @returns {number | undefined}
   */
  get first() {
    return this.offsets[this.#reader.header?.reference ? 0 : 1];
  }

  /**
   * Take more bytes of the stream.
   *
   * @param {Uint8Array} data
   */
  feed(data) {
    if (this.#ended) return;
    try {
      for (const event of this.#reader.feed(data)) {
        if (!this.#ended) this.#take(event);
      }
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#ended = true;
    }
  }

  /**
   * Return the PSNR in dB to expect at each of `offsets`, never less than before.
   *
   * Later steps improve the values of earlier ones, so they change as more is fed.
   */
  psnr() {
    let best = 0;
    return this.#points.map((point) => {
      best = Math.max(best, decibel(point.error + this.#unseen(point)));
      return best;
    });
  }

  /**
   * Return the offset at which the quality `psnr` dB is reached; null if it has not been yet.
   *
   * The end of the header does not count, because there is no picture yet.
   *
   * @param {number} psnr
   */
  reaching(psnr) {
    const place = this.psnr().findIndex((value, i) => i > 0 && value >= psnr);
    return place < 0 ? null : this.offsets[place];
  }

  /**
   * Return the offset at which the first octave opens that a display of `side` cannot use; null if
   * none has.
   *
   * It has no use for an octave if the next coarser one is as large already.
   *
   * @param {number} side the longest side of the display, in pixels
   */
  opening(side) {
    for (const [octave, offset] of this.#openings) {
      const { width, height } = this.#sizes[octave + 1];
      if (Math.max(width, height) >= side) return offset;
    }
    return null;
  }

  /** @param {import("../container/reader.js").Event} event */
  #take(event) {
    if (event.type === "header") {
      this.#sizes = octaves.sizes(event.header);
      this.#ratio = event.header.ratio;
      this.#forecast = Forecast.beginning(this.#ratio, trusted(event.header, this.#sizes));
      this.#add(this.#sizes.length - 1, 0);
      this.#ended = event.header.clip !== null;
    } else if (event.type === "step") {
      this.#step = event.step;
      this.#left = event.step.length;
      const { octave } = this.#points[this.#points.length - 1];
      if (event.step.kind === Kind.OPEN && octave)
        this.#openings.push([octave - 1, this.#reader.began]);
    } else if (event.type === "payload") {
      this.#left -= event.data.length;
      if (!this.#left && this.#step) this.#finish(this.#step);
    } else if (event.type === "check" && this.offsets.at(-1) === event.offset) {
      // A step that ended where a check begins now ends after the check.
      this.offsets[this.offsets.length - 1] = this.#reader.offset;
    }
  }

  /** @param {import("../container/grammar.js").Step} step */
  #finish(step) {
    const last = this.#points[this.#points.length - 1];
    if (step.kind === Kind.REFINE) {
      const gained = delta(step.deltaCode);
      const stated = energy(step, refinement(this.#sizes, last.octave, this.#ratio)) / gained;
      last.error = this.#forecast.plain(stated, last.snr);
      this.#forecast = this.#forecast.refined(last.snr, stated);
      this.#add(last.octave, last.snr + gained);
    } else if (last.octave && last.snr) {
      const snr = openedSnr(last.snr, this.#ratio);
      const stated = energy(step, octaves.detailDimensions(this.#sizes[last.octave - 1])) / snr;
      this.#forecast = this.#forecast.opened(snr, stated);
      this.#add(last.octave - 1, snr);
    } else {
      throw new CorruptStream("there is no finer octave to open", this.#reader.began);
    }
    if (this.#points.length > MOST_STEPS) {
      throw new CorruptStream("more steps than any picture has", this.#reader.offset);
    }
  }

  /**
   * @param {number} octave
   * @param {number} snr
   */
  #add(octave, snr) {
    const opened = this.#forecast.details.length;
    this.#points.push({ octave, snr, error: this.#forecast.known(snr), opened });
    this.offsets.push(this.#reader.offset);
  }

  /** @param {Point} point */
  #unseen(point) {
    const known = this.#forecast.details.slice(point.opened);
    const sum = known.reduce((total, detail) => total + detail, 0);
    return DETAIL_SHARE * sum + this.#forecast.unseen(point.octave - known.length);
  }
}

/**
 * Return the energy of the shift for which a step of this length was made.
 *
 * Simulators other than the trellis state it in their payload; the length is close enough.
 *
 * @param {import("../container/grammar.js").Step} step
 * @param {number} dims
 */
function energy(step, dims) {
  if (step.simulator === Simulator.TRELLIS) {
    const cosine = cosineSquared(8 * step.length, dims);
    return cosine / (1 - cosine);
  }
  return 2 ** Math.min((16 * step.length) / dims, 64) - 1;
}
