/**
 * Plays the pictures of a clip in a loop, at its rate, while they become better known.
 *
 * @module
 */

/** @typedef {import("../container/clip.js").Clip} Clip */
/** @typedef {import("./pictures.js").Frame} Frame */

/**
 * What tells the time and calls back before the next picture of the display.
 *
 * @typedef {{ now: () => number, request: (call: () => void) => number,
 *   cancel: (request: number) => void }} Display
 */

/** @type {Display} */
const DISPLAY = {
  now: () => performance.now(),
  request: (call) => requestAnimationFrame(call),
  cancel: (request) => cancelAnimationFrame(request),
};

/** Return whether the user wants as little motion as possible. */
export function still() {
  return globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;
}

/** One clip that plays.  What is not rendered anew yet is shown as it was rendered last. */
export class Playback {
  #draw;
  #display;
  /** @type {Clip | null} */
  #clip = null;
  /** @type {(Frame | undefined)[]} */
  #frames = [];
  /** Which picture is shown. */
  #number = 0;
  /** What of it was drawn. @type {Frame | null} */
  #drawn = null;
  /** When the present picture began. */
  #since = 0;
  #paused;
  /** @type {number | null} */
  #requested = null;

  /**
   * It begins as soon as there is a picture, unless it is `paused`.
   *
   * @param {(frame: Frame, number: number) => void} draw shows a picture
   * @param {{ paused?: boolean, display?: Display }} [options]
   */
  constructor(draw, { paused = still(), display = DISPLAY } = {}) {
    this.#draw = draw;
    this.#paused = paused;
    this.#display = display;
  }

  /** Whether it stands still. */
  get paused() {
    return this.#paused;
  }

  /** The number of the picture that is shown, from 0. */
  get number() {
    return this.#number;
  }

  /** Take pictures that are better known than before. @param {Frame} frame */
  take(frame) {
    if (!this.#clip) this.#since = this.#display.now();
    this.#clip = frame.clip;
    for (const number of frame.numbers) this.#frames[number] = frame;
    this.#show();
    this.#continue();
  }

  play() {
    if (!this.#paused) return;
    this.#paused = false;
    this.#since = this.#display.now();
    this.#continue();
  }

  pause() {
    this.#paused = true;
    if (this.#requested !== null) this.#display.cancel(this.#requested);
    this.#requested = null;
  }

  /**
   * Pause, and show the picture so many after the present one.
   *
   * @param {number} pictures
   */
  step(pictures) {
    this.pause();
    if (!this.#clip) return;
    const count = this.#clip.pictures;
    this.#number = (((this.#number + pictures) % count) + count) % count;
    this.#show();
  }

  /** Forget all pictures. */
  clear() {
    if (this.#requested !== null) this.#display.cancel(this.#requested);
    this.#requested = null;
    this.#frames = [];
    this.#clip = this.#drawn = null;
    this.#number = 0;
  }

  #continue() {
    if (this.#paused || !this.#clip) return;
    this.#requested ??= this.#display.request(() => {
      this.#requested = null;
      this.#move();
      this.#continue();
    });
  }

  #move() {
    if (!this.#clip) return;
    const { pictures, milliseconds } = this.#clip;
    const now = this.#display.now();
    const passed = Math.floor((now - this.#since) / milliseconds);
    if (passed < 1) return;
    this.#since += passed * milliseconds;
    this.#number = (this.#number + passed) % pictures;
    this.#show();
  }

  #show() {
    const frame = this.#frames[this.#number];
    if (!frame || frame === this.#drawn) return;
    this.#drawn = frame;
    this.#draw(frame, this.#number);
  }
}
