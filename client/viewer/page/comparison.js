/**
 * Shows the same picture as JPEG and AVIF with the same number of bytes.
 *
 * @module
 */

import { Measure } from "./measure.js";
import { bytes, decibels, duration, together } from "./words.js";

/** Milliseconds that the slider has to rest before files are requested. */
const REST = 250;
const NAMES = { jpeg: "Progressive JPEG, cut", avif: "AVIF" };

/** @typedef {keyof typeof NAMES} Format */
/** @typedef {import("./painter.js").Shown} Shown */

/** Figures beside our picture.  The sender makes their files, which are not part of the stream. */
export class Comparison {
  #element;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #asked = "";
  #width = 0;
  #perSecond = 0;
  #onmeasured;
  /** The name of a picture, and its measure. @type {[string, Promise<Measure | null>] | null} */
  #measure = null;
  /** @type {Map<Format, HTMLElement>} */ #figures = new Map();

  /**
   * @param {HTMLElement} element Where the figures go.
   * @param {(psnr: number | null) => void} onmeasured Called with our PSNR in dB; null clears it.
   */
  constructor(element, onmeasured) {
    this.#element = element;
    this.#onmeasured = onmeasured;
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
    if (!shown) {
      this.clear();
      this.#onmeasured(null);
    }
  }

  get shown() {
    return !this.#element.hidden;
  }

  /** Show nothing, and drop waiting requests. */
  clear() {
    clearTimeout(this.#timer);
    this.#asked = "";
    this.#measure = null;
    for (const [format, figure] of this.#figures) fill(figure, format, null, "");
  }

  /**
   * Show files of at most so many bytes, once the slider has rested.
   *
   * @param {string} name
   * @param {Shown} ours
   * @param {number} of The target of our picture in bytes.
   * @param {number} perSecond Bytes that the link carries; 0 if that is not known.
   */
  ask(name, ours, of, perSecond) {
    const { bytes: count, method, width } = ours;
    const asked = `${name} ${count} ${of} ${method}`;
    if (!this.shown || !count || asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#timer);
    this.#width = width;
    this.#perSecond = perSecond;
    this.#timer = setTimeout(() => {
      this.#compare(asked, name, ours);
      for (const [format, figure] of this.#figures) this.#fetch(figure, format, name, count, of);
    }, REST);
  }

  /**
   * Show how close our picture is to the original.
   *
   * @param {string} asked
   * @param {string} name
   * @param {Shown} ours
   */
  async #compare(asked, name, ours) {
    const measure = await this.#measureOf(name, ours);
    if (measure && asked === this.#asked) this.#onmeasured(measure.psnr(painted(ours)));
  }

  /**
   * Return the measure of a picture; null if the sender offers none.
   *
   * @param {string} name
   * @param {Shown} ours
   */
  async #measureOf(name, ours) {
    if (this.#measure?.[0] !== name) {
      const wanted = Measure.from(`${address(name)}?format=sample`, ours);
      this.#measure = [name, wanted.catch(() => null)];
    }
    return this.#measure[1];
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
    const url = `${address(name)}?format=${format}&bytes=${count}&of=${of}`;
    figure.dataset.state = "loading";
    try {
      const answer = await fetch(url);
      const blob = answer.ok ? await answer.blob() : null;
      if (asked !== this.#asked) return;
      if (blob) {
        const image = await loaded(blob);
        const measure = await this.#measure?.[1];
        if (asked !== this.#asked) return;
        image.toggleAttribute("data-whole", image.naturalWidth === this.#width);
        const quality = measure ? [decibels(measure.psnr(image))] : [];
        const time = this.#perSecond
          ? [`${duration(blob.size / this.#perSecond)} on the link`]
          : [];
        fill(figure, format, image, together([bytes(blob.size), ...quality, ...time]));
      } else if (answer.status === 404)
        fill(figure, format, null, `none of ${bytes(count)} exists`);
      else fill(figure, format, null, "the sender could not make one; try again later");
    } catch {
      if (asked === this.#asked) fill(figure, format, null, "it could not be loaded");
    }
  }
}

/** The URL of comparison pictures. @param {string} name */
function address(name) {
  return `./-/compare/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** Return the pixels on the canvas. @param {Shown} shown */
function painted({ pixels, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

/**
 * @param {HTMLElement} figure
 * @param {Format} format
 * @param {HTMLImageElement | null} image
 * @param {string} words
 */
function fill(figure, format, image, words) {
  const [frame, caption] = figure.children;
  if (image) image.alt = `The picture as ${NAMES[format]}, ${words.replaceAll("\u00a0", " ")}`;
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
 * Return an image of these bytes.  A truncated file has to be shown as far as it goes, so this does
 * not use `decode()`, which would reject it.
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
