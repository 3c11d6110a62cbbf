/**
 * The caption of the picture on the canvas: its bytes, its quality and how it was rendered.
 *
 * @module
 */

import { bytes, decibels, duration, expected, rate, together } from "./words.js";

/** @typedef {import("./painter.js").Shown} Shown */

/** How it was rendered: "mean" is closest to the original, and the only one with a prediction. */
/** @param {Shown} shown @returns {"mean" | "synthesis" | "observation"} */
export function kind({ method }) {
  if (method === "observation") return "observation";
  return method === "mmse" || method === 0 ? "mean" : "synthesis";
}

/** The caption; it describes the picture on the canvas, not one that is still being computed. */
export class Caption {
  #element;
  #synthesised;
  /** @type {Shown | null} */ #shown = null;
  /** @type {number | null} */ #measured = null;
  #perSecond = 0;

  /** @param {HTMLElement} element @param {HTMLElement} synthesised The note on synthesis. */
  constructor(element, synthesised) {
    this.#element = element;
    this.#synthesised = synthesised;
  }

  /** Clear the caption. */
  clear() {
    this.#shown = null;
    this.#measured = null;
    this.#element.textContent = "";
    this.#synthesised.hidden = true;
  }

  /** Describe the picture that is on the canvas now. @param {Shown} shown */
  show(shown) {
    this.#shown = shown;
    this.#measured = null;
    this.#draw();
  }

  /**
   * Add the result of a comparison with the original.
   *
   * @param {number | null} psnr In dB; null if it has not been measured.
   * @param {number} perSecond Bytes that the link carries; 0 if that is not known.
   */
  measured(psnr, perSecond) {
    this.#measured = psnr;
    this.#perSecond = perSecond;
    this.#draw();
  }

  #draw() {
    const shown = this.#shown;
    if (!shown) return;
    const how = kind(shown);
    const said = [bytes(shown.bytes), rate(shown.bpp)];
    if (this.#measured !== null) {
      said.push(decibels(this.#measured), this.#time(shown));
    } else if (how === "mean") {
      said.push(expected(shown.predictedPsnr, shown.predictedPsnrRange));
    } else if (how === "observation") said.push("as it was sent");
    this.#element.textContent = together(said);
    this.#synthesised.hidden = how !== "synthesis";
  }

  /** @param {Shown} shown */
  #time({ bytes: count, milliseconds }) {
    const computing = `${duration(milliseconds / 1000)} to compute`;
    if (!this.#perSecond) return computing;
    return `${duration(count / this.#perSecond)} on the link, ${computing}`;
  }
}
