/**
 * Announces news to screen readers, only the newest and not too often.
 *
 * @module
 */

/** Milliseconds between two announcements. */
const PAUSE = 5000;

/** An element whose text screen readers read aloud. */
export class Saying {
  #element;
  #next = "";
  #last = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {HTMLElement} element Of the role "status". */
  constructor(element) {
    this.#element = element;
  }

  /** Announce words now or after a pause, unless newer ones come first. @param {string} words */
  say(words) {
    if (words === this.#next) return;
    this.#next = words;
    clearTimeout(this.#timer);
    const left = this.#last + PAUSE - performance.now();
    this.#timer = setTimeout(() => this.#speak(), Math.max(0, left));
  }

  /** Drop the waiting announcement and clear the text. */
  clear() {
    clearTimeout(this.#timer);
    this.#next = "";
    this.#element.textContent = "";
  }

  #speak() {
    this.#last = performance.now();
    this.#element.textContent = this.#next;
  }
}
