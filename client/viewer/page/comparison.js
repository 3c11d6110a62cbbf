/**
 * The same picture as JPEG and AVIF, of the same bytes.
 *
 * @module
 */

import { bytes, together } from "./words.js";

/** Milliseconds that the slider has to rest before anything is asked for. */
const REST = 250;
const NAMES = { jpeg: "Progressive JPEG, cut", avif: "AVIF" };

/** @typedef {keyof typeof NAMES} Format */

/** Figures beside ours.  They come from the sender, but are no part of what it streams. */
export class Comparison {
  #element;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #asked = "";
  #width = 0;
  /** @type {Map<Format, HTMLElement>} */ #figures = new Map();

  /** @param {HTMLElement} element Where the figures go. */
  constructor(element) {
    this.#element = element;
    for (const format of /** @type {Format[]} */ (Object.keys(NAMES))) {
      const figure = document.createElement("figure");
      figure.dataset.format = format;
      figure.innerHTML = '<div class="frame"></div><figcaption></figcaption>';
      this.#figures.set(format, figure);
      element.append(figure);
    }
  }

  /** @param {boolean} shown */
  set shown(shown) {
    this.#element.hidden = !shown;
    if (!shown) this.clear();
  }

  get shown() {
    return !this.#element.hidden;
  }

  /** Show nothing, and forget what was asked for. */
  clear() {
    clearTimeout(this.#timer);
    this.#asked = "";
    for (const [format, figure] of this.#figures) fill(figure, format, null, "");
  }

  /**
   * Show files of at most so many bytes, once nobody has wanted others for a moment.
   *
   * @param {string} name
   * @param {number} count The bytes that ours is made from.
   * @param {number} of The bytes that are wanted of ours in the end.
   * @param {number} width Pixels of ours.
   */
  ask(name, count, of, width) {
    const asked = `${name} ${count} ${of}`;
    if (!this.shown || !count || asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#timer);
    this.#width = width;
    this.#timer = setTimeout(() => {
      for (const [format, figure] of this.#figures) this.#fetch(figure, format, name, count, of);
    }, REST);
  }

  /**
   * @param {HTMLElement} figure
   * @param {Format} format
   * @param {string} name
   * @param {number} count
   * @param {number} of
   */
  async #fetch(figure, format, name, count, of) {
    const asked = this.#asked;
    const path = name.split("/").map(encodeURIComponent).join("/");
    const url = `/-/compare/${path}?format=${format}&bytes=${count}&of=${of}`;
    figure.dataset.state = "loading";
    try {
      const answer = await fetch(url);
      const blob = answer.ok ? await answer.blob() : null;
      if (asked !== this.#asked) return;
      if (blob) {
        const image = await loaded(blob);
        image.toggleAttribute("data-whole", image.naturalWidth === this.#width);
        fill(figure, format, image, bytes(blob.size));
      } else if (answer.status === 404)
        fill(figure, format, null, `none of ${bytes(count)} exists`);
      else fill(figure, format, null, "the sender could not make one; try again later");
    } catch {
      if (asked === this.#asked) fill(figure, format, null, "it could not be loaded");
    }
  }
}

/**
 * @param {HTMLElement} figure
 * @param {Format} format
 * @param {HTMLImageElement | null} image
 * @param {string} words
 */
function fill(figure, format, image, words) {
  const [frame, caption] = figure.children;
  if (image) image.alt = `The picture as ${NAMES[format]}, ${words}`;
  frame.replaceChildren(...(image ? [image] : words ? [absent(words)] : []));
  caption.textContent = together([NAMES[format], ...(image ? [words] : [])]);
  figure.dataset.state = image ? "shown" : words ? "absent" : "idle";
}

/** @param {string} words */
function absent(words) {
  const paragraph = document.createElement("p");
  paragraph.className = "waiting";
  paragraph.textContent = words;
  return paragraph;
}

/**
 * An image of these bytes.  What is cut short is shown as far as it goes, so that it is not
 * `decode()` that is asked, which refuses it.
 *
 * @param {Blob} blob
 * @returns {Promise<HTMLImageElement>}
 */
function loaded(blob) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => {
      URL.revokeObjectURL(image.src);
      resolve(image);
    };
    image.onerror = () => {
      URL.revokeObjectURL(image.src);
      reject(new Error("the browser cannot show it"));
    };
    image.src = URL.createObjectURL(blob);
  });
}
