/**
 * The details: facts about the picture, the link and the decoder.
 *
 * @module
 */

import { bytes, dimensions, duration, expected, speed } from "./words.js";

/**
 * @typedef {object} Machine
 * @property {number} speed Bytes per second; 0 if it is not known.
 * @property {number | null} capacity The best observed rate of the link, bytes per second.
 * @property {number} received Bytes on the wire.
 * @property {number | null} roundTrip Seconds.
 * @property {string} decoder The decoder, in words.
 */
/** @typedef {import("./painter.js").Shown} Shown */
/** @typedef {import("./reception.js").Reception} Reception */

/** A list of facts, without those that are not known yet. */
export class Facts {
  #element;
  /** @type {Map<string, string>} */ #facts = new Map();
  #opened = 0;

  /** @param {HTMLElement} element A description list. */
  constructor(element) {
    this.#element = element;
  }

  /** Clear the list for a new picture. @param {number} now By `performance.now()`. */
  begin(now) {
    this.#opened = now;
    this.#facts.clear();
    this.#draw();
  }

  /** @param {Shown} shown @param {Reception} reception */
  shown(shown, reception) {
    const { width, height, octave, milliseconds, evaluations } = shown;
    /** @param {number} length */
    const halved = (length) => Math.ceil(length / 2 ** octave);
    const size = octave ? `, known at ${dimensions(halved(width), halved(height))}` : "";
    this.#facts.set("Size", dimensions(width, height) + size);
    if (!this.#facts.has("First picture")) {
      const now = performance.now();
      const asked = duration((now - this.#opened) / 1000);
      const arrived = reception.began > this.#opened ? (now - reception.began) / 1000 : null;
      const since = arrived === null ? "" : `, ${duration(arrived)} after the first bytes`;
      this.#facts.set("First picture", `in ${asked}${since}`);
    }
    if (evaluations >= 0.05) {
      this.#facts.set("Evaluation", `${Math.round(milliseconds / evaluations)} ms at full size`);
    }
    this.#draw();
  }

  /** @param {Machine} machine */
  machine({ speed: perSecond, received, roundTrip, decoder }) {
    const pace = perSecond >= 1 ? speed(perSecond) : "idle";
    const late = roundTrip === null ? "" : `, round trip ${duration(roundTrip)}`;
    this.#facts.set("Link", `${pace}${late}`);
    this.#facts.set("On the wire", bytes(received));
    if (decoder) this.#facts.set("Decoder", decoder);
    this.#draw();
  }

  /** @param {import("diffc-client").Part | null} part The region that sharpens first. */
  region(part) {
    if (!part?.shown) this.#facts.delete("Region");
    else {
      const { rectangle, length, shown } = part;
      const size = dimensions(rectangle.width, rectangle.height);
      const quality = expected(shown.predictedPsnr, shown.predictedPsnrRange);
      this.#facts.set("Region", `${size}, ${bytes(length)}, ${quality}`);
    }
    this.#draw();
  }

  #draw() {
    const order = [
      "Size",
      "Region",
      "Link",
      "On the wire",
      "First picture",
      "Decoder",
      "Evaluation",
    ];
    const parts = [];
    for (const name of order) {
      const fact = this.#facts.get(name);
      if (fact === undefined) continue;
      const [term, description] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      description.textContent = fact;
      parts.push(term, description);
    }
    this.#element.replaceChildren(...parts);
  }
}
