/**
 * What is read aloud while a picture arrives: the newest, and not too often.
 *
 * @module
 */

/** Milliseconds between two things that are said. */
const PAUSE = 5000;

/** A place whose text is read aloud. */
export class Saying {
  #element;
  #next = "";
  #last = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {HTMLElement} element Of the role "status". */
  constructor(element) {
    this.#element = element;
  }

  /** Say it now, or when there was a pause; unless there is news by then. @param {string} words */
  say(words) {
    if (words === this.#next) return;
    this.#next = words;
    clearTimeout(this.#timer);
    const left = this.#last + PAUSE - performance.now();
    this.#timer = setTimeout(() => this.#speak(), Math.max(0, left));
  }

  /** Say nothing of what was to be said, and leave nothing to be read. */
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
