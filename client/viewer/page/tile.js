/**
 * One small picture of the gallery, which is received while it is in view.
 *
 * @module
 */

import { fragment } from "./address.js";
import { Painter } from "./painter.js";
import { bytes, expected, together } from "./words.js";

/** The target of a small picture, whichever is reached first. */
const TARGET = { side: 192, bytes: 3000, bpp: 0.2 };
const POINTED_AT = 4;
/** A small picture is computed again when the stream has grown by this factor. */
const WORTH_WHILE = 1.08;
/** The longer side of the rendered picture, in pixels. */
const MOST_PIXELS = 320;

/** @typedef {import("./reception.js").Reception} Reception */

/** A tile of the gallery. */
export class Tile {
  #reception;
  #painter;
  #seen = false;

  /** @param {Reception} reception @param {HTMLTemplateElement} template */
  constructor(reception, template) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLLIElement} */ (copy.firstElementChild);
    this.anchor = /** @type {HTMLAnchorElement} */ (this.element.querySelector("a"));
    this.#reception = reception;
    this.#painter = new Painter(
      /** @type {HTMLCanvasElement} */ (this.element.querySelector("canvas")),
      (shown) => this.#tell(shown),
      (error) => this.#complain(error),
    );
    this.anchor.href = fragment(reception.name);
    this.#part("name").textContent = reception.name;
    this.#part("detail").textContent = "waiting";
    reception.addEventListener("change", () => this.#follow());
    reception.addEventListener("renew", () => this.#renew());
    for (const event of ["pointerenter", "focus", "pointerleave", "blur"]) {
      this.anchor.addEventListener(event, () => this.#weigh());
    }
    this.#follow();
  }

  /** Receive it, or stop. @param {boolean} seen */
  see(seen) {
    if (seen === this.#seen) return;
    this.#seen = seen;
    const { thumbnail } = this.#reception;
    if (seen && thumbnail && !this.#reception.length) void this.#load(thumbnail);
    else if (seen) {
      this.#weigh();
      this.#follow();
    } else {
      this.#painter.forget();
      this.#reception.stop();
    }
  }

  /** Update its status; return whether it is being computed. */
  look() {
    const { length, state } = this.#reception;
    const computing = this.#seen && this.#painter.computing !== null;
    this.element.toggleAttribute("data-computing", computing);
    const empty = this.element.dataset.shown === undefined && !this.element.dataset.thumbnail;
    if (this.#seen && empty && state !== "failed") {
      const said = length ? together([bytes(length), "computing …"]) : "waiting";
      const detail = this.#part("detail");
      if (detail.textContent !== said) detail.textContent = said;
    }
    return computing;
  }

  /** Release the picture in the worker; the canvas stays as it is. */
  rest() {
    this.#reception.rest();
  }

  /**
   * Show a small picture that was made beforehand, and receive nothing.
   *
   * @param {URL} url
   */
  async #load(url) {
    if (this.element.dataset.thumbnail === url.href) return;
    const image = new Image();
    image.src = url.href;
    try {
      await image.decode();
    } catch {
      this.#part("detail").textContent = "its small picture could not be loaded";
      return;
    }
    // The picture itself may have been looked at meanwhile.
    if (this.element.dataset.shown !== undefined) return;
    this.#painter.draw(image);
    this.element.dataset.thumbnail = url.href;
    this.#part("detail").textContent = "";
  }

  get #satisfied() {
    const { state, length } = this.#reception;
    return length >= TARGET.bytes || state === "target" || state === "complete";
  }

  /** A picture under the pointer has a higher weight. */
  #weigh() {
    if (this.#reception.thumbnail && !this.#reception.length) return;
    if (!this.#seen || this.#satisfied || this.#reception.state === "failed") return;
    const pointedAt = this.anchor.matches(":hover, :focus");
    this.#reception.want(TARGET, pointedAt ? POINTED_AT : 1);
  }

  #follow() {
    const { length, state, error } = this.#reception;
    this.element.dataset.bytes = String(length);
    this.element.dataset.state = state;
    if (error) this.#complain(error);
    if (!this.#seen || !length) return;
    let shown = Number(this.element.dataset.shown ?? 0);
    // A picture of a replaced stream must not count as the one to improve on.
    if (shown > length) shown = 0;
    const next = this.#reception.next(shown);
    const over = state !== "receiving" || next < length;
    if (next > shown && (over || next >= shown * WORTH_WHILE)) {
      this.#painter.paint(this.#reception, { bytes: next, maxSide: MOST_PIXELS });
    }
  }

  /** Start again, because the sender has replaced the picture. */
  #renew() {
    this.#painter.clear();
    delete this.element.dataset.shown;
    delete this.element.dataset.thumbnail;
    delete this.element.dataset.psnr;
    this.#part("progress").style.removeProperty("--share");
    const { thumbnail } = this.#reception;
    if (this.#seen && thumbnail) void this.#load(thumbnail);
    this.#weigh();
  }

  /** @param {import("./painter.js").Shown} shown */
  #tell({ bytes: shown, predictedPsnr: psnr, predictedPsnrRange: range }) {
    this.#reception.tell(shown, psnr);
    this.element.dataset.shown = String(shown);
    this.element.dataset.psnr = psnr.toFixed(2);
    this.#part("detail").textContent = together([bytes(shown), expected(psnr, range)]);
    const share = this.#satisfied ? 1 : Math.min(1, this.#reception.length / TARGET.bytes);
    this.#part("progress").style.setProperty("--share", String(share));
    this.#follow();
  }

  /** @param {Error} error */
  #complain(error) {
    // Too few bytes for a picture is no failure: more will arrive.
    if (error.name === "NothingDecodable") return;
    this.element.dataset.state = "failed";
    this.#part("detail").textContent = error.message;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`.${name}`));
  }
}
