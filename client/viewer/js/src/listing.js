/**
 * What pictures a sender has, as it tells page by page, and change by change.
 *
 * @module
 */

import { RemoteProtocolError } from "./errors.js";

/** Pictures of a sender; one that announces more and more of them is not believed. */
export const MOST_ENTRIES = 100_000;

/** @typedef {import("./session/messages.js").Entry} Entry */
/** @typedef {import("./session/messages.js").Catalogue} Page */

/**
 * The pictures known so far, by name; `complete` when the sender has told of all of them, and
 * `leftOut` how many older ones it leaves out, which can be asked for by name.
 *
 * @typedef {{ entries: Entry[], complete: boolean, leftOut: number }} State
 */

/** What is known of a sender's pictures, kept up to date over whatever links break meanwhile. */
export class Listing {
  /**
   * Stands for all that was told so far.
   *
   * @type {string | null}
   */
  mark = null;
  /** The sender has told of all its pictures on the link that there is. */
  complete = false;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** Those that a listing of all has not named again yet. @type {Set<string>} */
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

  /** The sender is asked anew: pages from here on are its answer. */
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
      // What only changes says it of those that it is about.
      if (page.left_out || !page.changes) this.#leftOut = page.left_out;
    }
    this.mark = page.mark ?? this.mark;
    this.#first = page.last;
    this.complete ||= page.last;
    this.#version += 1;
    this.#awaken();
  }

  /** Nothing more will be told. @param {Error} error */
  end(error) {
    this.#error ??= error;
    this.#awaken();
  }

  /**
   * What is known now, and again whenever that changes; what changes while one is looked at is in
   * the next.  Throws what ended it.
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
