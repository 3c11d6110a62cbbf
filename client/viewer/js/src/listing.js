/**
 * The catalogue of a sender, built from its pages and changes.
 *
 * @module
 */

import { RemoteProtocolError } from "./errors.js";

/** Most pictures of a sender; stops one that announces pictures without end. */
export const MOST_ENTRIES = 100_000;

/** @typedef {import("./session/messages.js").Entry} Entry */
/** @typedef {import("./session/messages.js").Catalogue} Page */

/**
 * The pictures known so far, by name; `complete` once the sender has announced all of them;
 * `leftOut` is how many older ones it leaves out, which can be asked for by name.
 *
 * @typedef {{ entries: Entry[], complete: boolean, leftOut: number }} State
 */

/** The catalogue of a sender, kept up to date over all links to it. */
export class Listing {
  /**
   * The mark that stands for all pages so far.
   *
   * @type {string | null}
   */
  mark = null;
  /** Whether the sender has announced all its pictures on the present link. */
  complete = false;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** Names that a new full listing has not confirmed yet. @type {Set<string>} */
  #doubtful = new Set();
  #leftOut = 0;
  #first = true;
  #version = 0;
  /** @type {Error | null} */
  #error = null;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** The pictures, by name. */
  get entries() {
    return [...this.#entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Start a new answer of the sender: the next page is its first. */
  begin() {
    this.#first = true;
    this.complete = false;
  }

  /**
   * Take a page.  Throws RemoteProtocolError for more pictures than there can be.
   *
   * @param {Page} page
   */
  take(page) {
    if (this.#first && !page.changes) {
      this.#doubtful = new Set(this.#entries.keys());
      this.mark = null;
    }
    for (const entry of page.images) {
      this.#doubtful.delete(entry.name);
      this.#entries.set(entry.name, entry);
    }
    for (const name of page.removed) this.#entries.delete(name);
    if (this.#entries.size > MOST_ENTRIES)
      throw new RemoteProtocolError(`a catalogue of more than ${MOST_ENTRIES} pictures`);
    if (page.last) {
      for (const name of this.#doubtful) this.#entries.delete(name);
      this.#doubtful.clear();
      // Pages of changes give it only if it has changed.
      if (page.left_out || !page.changes) this.#leftOut = page.left_out;
    }
    this.mark = page.mark ?? this.mark;
    this.#first = page.last;
    this.complete ||= page.last;
    this.#version += 1;
    this.#awaken();
  }

  /** End the listing with an error. @param {Error} error */
  end(error) {
    this.#error ??= error;
    this.#awaken();
  }

  /**
   * Yield the present state, and a new one after every change; changes while the caller uses a
   * state are in the next one.  Throws the error that ended the listing.
   *
   * @returns {AsyncGenerator<State, never, void>}
   */
  async *states() {
    let seen = 0;
    while (true) {
      if (this.#version > seen) {
        seen = this.#version;
        yield { entries: this.entries, complete: this.complete, leftOut: this.#leftOut };
      } else if (this.#error) throw this.#error;
      else await new Promise((resolve) => this.#waiting.push(() => resolve(null)));
    }
  }

  #awaken() {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
