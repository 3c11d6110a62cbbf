/**
 * Shows the cost of more of a picture beside the buttons that ask for it.
 *
 * @module
 */

import { bytes, duration, speed } from "./words.js";

/** @typedef {import("./reception.js").Reception} Reception */
/**
 * @typedef {object} Parts
 * @property {HTMLButtonElement} enough
 * @property {HTMLButtonElement} more
 * @property {HTMLElement} cost
 */

/** The line of text beside the buttons. */
export class Cost {
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Clear the line, because the picture's size is not known yet. */
  clear() {
    const { enough, more, cost } = this.#parts;
    enough.disabled = more.disabled = true;
    cost.textContent = "";
  }

  /**
   * @param {Reception} reception
   * @param {number} end Bytes up to which it is wanted.
   * @param {number} next Bytes up to which it will be wanted after "More".
   * @param {number} perSecond Bytes that the link carries; 0 if that is not known.
   */
  show(reception, end, next, perSecond) {
    const { enough, more, cost } = this.#parts;
    const { length, pixels, state } = reception;
    const receiving = state === "receiving";
    enough.disabled = !receiving;
    more.disabled = state === "complete" || !pixels;
    /** @param {number} count */
    const time = (count) =>
      perSecond ? `, ${duration(count / perSecond)} at ${speed(perSecond)}` : "";
    if (state === "complete") {
      cost.textContent = "This is all there is.";
    } else if (!pixels) {
      cost.textContent = "";
    } else if (receiving) {
      const left = Math.max(0, end - length);
      cost.textContent = left ? `${bytes(left)} to go${time(left)}` : "";
    } else {
      const left = Math.max(0, next - length);
      cost.textContent = `More: another ${bytes(left)}${time(left)}`;
    }
  }
}
