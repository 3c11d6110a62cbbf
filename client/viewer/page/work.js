/**
 * Shows that a picture is being computed after its bytes have arrived.
 *
 * @module
 */

import { bytes, duration } from "./words.js";

/** Computing is shown only if it takes more than so many seconds. */
const SOON = 0.4;
const WAITING = "Waiting for the first bytes …";

/** @typedef {NonNullable<import("./painter.js").Painter["computing"]>} Computing */
/**
 * @typedef {object} State
 * @property {number} bytes How many bytes have arrived.
 * @property {boolean} first Whether no picture has been shown yet.
 * @property {boolean} loaded Whether the decoder has been loaded.
 */

/** The progress indicator. */
export class Work {
  #stage;
  #parts;

  /**
   * @param {HTMLElement} stage
   * @param {{ work: HTMLElement, waiting: HTMLElement }} parts
   */
  constructor(stage, parts) {
    this.#stage = stage;
    this.#parts = parts;
  }

  /** Hide it, because nothing of the picture has arrived. */
  clear() {
    this.#say("");
    this.#parts.waiting.textContent = WAITING;
  }

  /** @param {Computing | null} computing @param {State} state */
  show(computing, { bytes: count, first, loaded }) {
    if (!computing || computing.seconds < SOON) {
      this.#say("");
      return;
    }
    const { seconds, fraction } = computing;
    const doing = loaded ? `Computing from ${bytes(computing.bytes)}` : "Loading the decoder";
    const share = fraction > 0 && fraction < 1 ? [`${Math.round(100 * fraction)}\u00a0%`] : [];
    this.#say(`${doing} … ${[...share, duration(seconds)].join(", ")}`);
    if (first) {
      const next = loaded ? "Computing the picture" : doing;
      this.#parts.waiting.textContent = `${bytes(count)} are here. ${next} …`;
    }
  }

  /** @param {string} words */
  #say(words) {
    const { work } = this.#parts;
    if (work.textContent !== words) work.textContent = words;
    this.#stage.toggleAttribute("data-computing", words !== "");
  }
}
