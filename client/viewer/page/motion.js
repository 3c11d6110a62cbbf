/**
 * Plays a clip on the stage, with a button that pauses it.
 *
 * @module
 */

import { Playback, Renderings } from "diffc-client";

/** Milliseconds that the axis has to rest before the prefix of a clip is decoded from its beginning. */
const REST = 300;

/** @typedef {import("diffc-client").Frame} Frame */
/** @typedef {import("diffc-client").Clip} Clip */
/** @typedef {import("./reception.js").Reception} Reception */

/** One clip, while it arrives, or what a prefix of it shows. */
export class Motion {
  #canvas;
  #button;
  #onshown;
  #playback;
  #renderings;
  /** The prefix that is shown; null for all that arrives. @type {number | null} */
  #at = null;
  /** What is decoded for a prefix only. @type {Clip | null} */
  #own = null;
  #bytes = 0;
  /** Bytes that the last picture was made from. */
  #told = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLButtonElement} button
   * @param {(frame: Frame) => void} onshown
   * @param {(error: Error) => void} onerror
   */
  constructor(canvas, button, onshown, onerror) {
    this.#canvas = canvas;
    this.#button = button;
    this.#onshown = onshown;
    this.#playback = new Playback((frame) => this.#draw(frame));
    this.#renderings = new Renderings({
      onframe: (frame) => this.#take(frame),
      onidle: () => (canvas.dataset.every = String(this.#told)),
      onerror,
    });
    button.addEventListener("click", () => {
      if (this.#playback.paused) this.#playback.play();
      else this.#playback.pause();
      this.#label();
    });
  }

  /** What is being computed, as a Painter says it; null if nothing is. */
  get computing() {
    const { computing } = this.#renderings;
    return computing === null
      ? null
      : { bytes: this.#bytes, seconds: computing / 1000, fraction: 0 };
  }

  /**
   * Play what has arrived, or the first `at` bytes of it.
   *
   * @param {Reception} reception
   * @param {number | null} at
   */
  show(reception, at) {
    this.#bytes = at ?? reception.length;
    this.#button.hidden = false;
    this.#label();
    if (at === null) {
      clearTimeout(this.#timer);
      this.#at = null;
      const clip = /** @type {Clip} */ (reception.picture);
      if (this.#renderings.clip === clip) this.#renderings.more();
      else this.#follow(clip, null);
    } else if (at !== this.#at) {
      this.#at = at;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        const own = reception.beginning(at);
        this.#follow(own, own);
      }, REST);
    }
  }

  /** Show nothing. */
  clear() {
    clearTimeout(this.#timer);
    this.#at = null;
    this.#follow(null, null);
    this.#playback.clear();
    this.#button.hidden = true;
  }

  /** @param {Clip | null} clip @param {Clip | null} own */
  #follow(clip, own) {
    this.#renderings.follow(clip);
    this.#own?.close();
    this.#own = own;
  }

  /** @param {Frame} frame */
  #take(frame) {
    this.#told = frame.bytes;
    this.#playback.take(frame);
    this.#onshown(frame);
  }

  /** @param {Frame} frame */
  #draw({ pixels, width, height }) {
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    canvas.getContext("2d")?.putImageData(new ImageData(pixels, width, height), 0, 0);
    canvas.dataset.number = String(this.#playback.number);
  }

  #label() {
    const { paused } = this.#playback;
    this.#button.textContent = paused ? "Play" : "Pause";
    this.#button.dataset.paused = String(paused);
  }
}
