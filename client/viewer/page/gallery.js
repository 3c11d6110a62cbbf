/**
 * Shows all pictures of the sender, and receives those in view.
 *
 * @module
 */

import { Tile } from "./tile.js";

/** @typedef {import("./reception.js").Reception} Reception */

/** The gallery.  Only tiles in view are received, so that they get the whole link. */
export class Gallery {
  #section;
  #list;
  #nothing;
  #template;
  /** @type {Map<string, Tile>} */ #tiles = new Map();
  #observer;

  /**
   * @param {HTMLElement} section
   * @param {HTMLTemplateElement} template
   */
  constructor(section, template) {
    this.#section = section;
    this.#template = template;
    this.#list = /** @type {HTMLElement} */ (section.querySelector("ul"));
    this.#nothing = /** @type {HTMLElement} */ (section.querySelector(".nothing"));
    this.#observer = new IntersectionObserver((entries) => {
      // The observer may report late, when the picture is on the stage already.
      if (this.#section.hidden) return;
      for (const { target, isIntersecting } of entries) {
        const tile = this.#tileOf(target);
        tile?.see(isIntersecting);
        // There may be hundreds of tiles.
        if (!isIntersecting) tile?.rest();
      }
    });
  }

  /** The names of the pictures, in order. */
  get names() {
    return [...this.#tiles.keys()];
  }

  /**
   * Show these pictures; existing tiles stay as they are.
   *
   * @param {string[]} names
   * @param {(name: string) => Reception} reception
   */
  fill(names, reception) {
    const wanted = new Set(names);
    for (const [name, tile] of this.#tiles) {
      if (wanted.has(name)) continue;
      tile.see(false);
      this.#observer.unobserve(tile.element);
      tile.element.remove();
    }
    const before = this.#tiles;
    this.#tiles = new Map();
    for (const [place, name] of names.entries()) {
      const tile = before.get(name) ?? new Tile(reception(name), this.#template);
      tile.element.dataset.name = name;
      this.#tiles.set(name, tile);
      const there = this.#list.children[place] ?? null;
      if (there !== tile.element) this.#list.insertBefore(tile.element, there);
      if (!this.#section.hidden) this.#observer.observe(tile.element);
    }
  }

  /** Show a text in place of the tiles; none if it is empty. @param {string} words */
  note(words) {
    this.#nothing.hidden = !words;
    this.#nothing.textContent = words;
    this.#nothing.toggleAttribute("data-below", this.#tiles.size > 0);
  }

  /** Update the status of all tiles; return how many are being computed. */
  look() {
    let computing = 0;
    for (const tile of this.#tiles.values()) computing += Number(tile.look());
    return computing;
  }

  /** Show the gallery, with the focus on the named picture, if any. @param {string | null} name */
  show(name) {
    this.#section.hidden = false;
    for (const tile of this.#tiles.values()) this.#observer.observe(tile.element);
    if (name) this.#tiles.get(name)?.anchor.focus();
  }

  /** Hide it, and stop receiving its tiles. */
  hide() {
    this.#observer.disconnect();
    for (const tile of this.#tiles.values()) tile.see(false);
    this.#section.hidden = true;
  }

  /** @param {Element} element */
  #tileOf(element) {
    return this.#tiles.get(/** @type {HTMLElement} */ (element).dataset.name ?? "");
  }
}
