/**
 * What becomes better known of a clip, picture by picture, as fast as a worker renders it.
 *
 * @module
 */

import { Superseded } from "../errors.js";

/** @typedef {import("./clip.js").Clip} Clip */
/** @typedef {import("./pictures.js").Frame} Frame */

/**
 * @typedef {object} Told
 * @property {(frame: Frame) => void} onframe one or several pictures, better known than before
 * @property {() => void} [onidle] all that has arrived was told
 * @property {(error: Error) => void} onerror the error of the stream, after all before it was told
 */

/** Follows one clip at a time. */
export class Renderings {
  #told;
  /** @type {Clip | null} */
  #clip = null;
  /** Counts what was fed, so that nothing is missed that came while the last picture was computed. */
  #fed = 0;
  #running = false;
  #failed = false;
  #anew = true;
  #began = 0;

  /** @param {Told} told */
  constructor(told) {
    this.#told = told;
  }

  /** Milliseconds that the present picture has taken so far; null if none is computed. */
  get computing() {
    return this.#running ? performance.now() - this.#began : null;
  }

  /** The clip that is followed; null if there is none. */
  get clip() {
    return this.#clip;
  }

  /** Follow another clip, from its beginning, or none.  The one before is not closed. @param {Clip | null} clip */
  follow(clip) {
    if (clip === this.#clip) return;
    this.#clip = clip;
    this.#anew = true;
    this.#failed = false;
    this.more();
  }

  /** Note that more bytes were fed to the clip. */
  more() {
    this.#fed += 1;
    if (!this.#running && !this.#failed && this.#clip) void this.#run();
  }

  async #run() {
    this.#running = true;
    for (let clip; (clip = this.#clip);) {
      const [fed, anew] = [this.#fed, this.#anew];
      this.#anew = false;
      this.#began = performance.now();
      try {
        const frame = await clip.next({ anew });
        if (clip !== this.#clip) continue;
        if (frame) this.#told.onframe(frame);
        else if (fed === this.#fed) break;
      } catch (error) {
        if (clip !== this.#clip) continue;
        this.#running = false;
        this.#failed = true;
        // It was closed: there is nothing to tell.
        if (error instanceof Superseded) return;
        this.#told.onerror(error instanceof Error ? error : new Error(String(error)));
        return;
      }
    }
    this.#running = false;
    if (this.#clip) this.#told.onidle?.();
  }
}
