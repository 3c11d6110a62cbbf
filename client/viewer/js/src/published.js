/**
 * The pictures of a published folder: files behind any web server, with no sender.
 *
 *     const folder = published("https://example.org/pictures/");
 *     for (const { name } of await folder.catalogue()) ...
 *     for await (const piece of folder.open("coffee.jpg", { bpp: 0.4 })) picture.feed(piece);
 *
 * @module
 */

import { Backoff } from "./backoff.js";
import { CLOCK } from "./clock.js";
import { AddressError, LinkLost, RemoteProtocolError, UnknownImage } from "./errors.js";
import { FileDelivery } from "./file_delivery.js";
import { Listing, MOST_ENTRIES } from "./listing.js";
import { Meter } from "./meter.js";
import { beside, nearest } from "./references.js";
import { Requests } from "./requests.js";
import { encode } from "./session/messages.js";

/** The file of a published folder that names the pages of its catalogue. */
const ROOT = "catalogue.json";
const VERSION = 1;
/** Most bytes of that file, and of a page. */
const MOST_BYTES = 4 * 2 ** 20;
/** Seconds after which to ask whether there are other pictures. */
const ASK_AGAIN = 60;
/** Hexadecimal digits of a stream's hash that tell it from another. */
const THUMBPRINT = 16;

/**
 * A picture of a published folder.  `size` is that of its stream, in bytes; `stream` and `thumbnail`
 * are where its files are.
 *
 * @typedef {import("./session/messages.js").Entry & { stream: URL, thumbnail: URL }} PublishedEntry
 */

/**
 * @typedef {object} Options
 * @property {(status: import("./sender.js").Status, error?: Error) => void} [onStatus]
 * @property {number | null} [patience] seconds without any progress after which to give up; null is
 *   never
 * @property {typeof globalThis.fetch} [fetch] by default the browser's
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [draw] random numbers from 0 to 1, for the waits before new attempts
 */

/**
 * Return the published folder at `url`, http:// or https://.  Throws AddressError for others.
 *
 * @param {string | URL} url
 * @param {Options} [options]
 */
export function published(url, options) {
  return new PublishedFolder(url, options);
}

/** A published folder, with the interface of Sender; see published(). */
export class PublishedFolder {
  /** @type {((status: import("./sender.js").Status, error?: Error) => void) | null} */
  onstatus;
  /** @type {import("./sender.js").Status} */
  status = "connecting";
  /** The last error, until a request succeeds. @type {Error | null} */
  error = null;
  #url;
  #requests;
  #clock;
  #meter = new Meter();
  #listing = new Listing();
  #root = "";
  /** Where the files of known pictures are. @type {Map<string, PublishedEntry>} */
  #entries = new Map();
  #begun = false;
  #callOff = () => {};
  /** @type {Set<FileDelivery>} */
  #deliveries = new Set();

  /**
   * @param {string | URL} url
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    this.#url = address(url);
    this.#clock = options.clock ?? CLOCK;
    this.onstatus = options.onStatus ?? null;
    this.#requests = new Requests(
      {
        // Called as a method of another object, the browser's would refuse.
        fetch: options.fetch ?? ((...asked) => globalThis.fetch(...asked)),
        clock: this.#clock,
        backoff: new Backoff({ patience: options.patience ?? null, draw: options.draw }),
      },
      {
        status: (status, error) => this.#say(status, error),
        arrived: (bytes) => this.#meter.arrived(bytes, this.#clock.now()),
      },
    );
  }

  /** Seconds until the next attempt while it is waiting for one; null otherwise. */
  get retryIn() {
    return this.#requests.retryIn;
  }

  /** Make the next attempt now. */
  retry() {
    this.#requests.retry();
  }

  /**
   * Return the pictures, sorted by name.
   *
   * @returns {Promise<import("./session/messages.js").Entry[]>}
   */
  async catalogue() {
    for await (const { entries, complete } of this.follow()) if (complete) return entries;
    return [];
  }

  /**
   * Follow the catalogue: iterate over its states, one after every page and every change, until
   * close(), which throws.
   */
  follow() {
    this.#begin();
    return this.#listing.states();
  }

  /**
   * Stream a picture, as Sender.open() does.  The delivery may fail with UnknownImage or another
   * PeerError.
   *
   * @param {string} name
   * @param {import("./delivery.js").Wanted & { held?: Uint8Array, model?: string | null }} [options]
   */
  open(name, { held = new Uint8Array(), model = null, ...wanted } = {}) {
    encode({ type: "OPEN", stream: 1, image: name, start: held.length, ...wanted, model });
    this.#begin();
    const delivery = new FileDelivery(name, {
      wanted,
      held,
      locate: async () => (await this.#entry(name)).stream,
      requests: this.#requests,
      finished: () => this.#deliveries.delete(delivery),
    });
    this.#deliveries.add(delivery);
    return delivery;
  }

  /**
   * Return what finds the pictures that the stream of `name` starts from, for Decoding.picture():
   * other pictures in the same folder of names, of which `here` tells what is here already, and
   * files beside the stream.
   *
   * @param {string} name
   * @param {import("./references.js").Here} [here]
   */
  references(name, here) {
    return nearest(name, here, async (reference, picture, _, signal) => {
      this.#begin();
      const own = (await this.#entry(name)).stream;
      const there =
        (picture !== null && this.#entries.get(picture)?.stream) || beside(reference.name, own);
      if (!there) return null;
      const whole = new Uint8Array(reference.size);
      let length = 0;
      await this.#requests.get(there, {
        headers: () => ({ Range: `bytes=0-${whole.length - 1}` }),
        signal,
        head: () => (length = 0),
        take: (piece) => {
          const fitting = piece.subarray(0, whole.length - length);
          whole.set(fitting, length);
          length += fitting.length;
          return length === whole.length;
        },
      });
      return whole.subarray(0, length);
    });
  }

  /** Return where a picture's thumbnail is; null if it is not known. @param {string} name */
  thumbnail(name) {
    return this.#entries.get(name)?.thumbnail ?? null;
  }

  /** Return counts and rates, as Sender.statistics() does; `capacity` is not known here. */
  statistics() {
    const { received } = this.#meter;
    const { roundTrip } = this.#requests;
    const rate = this.#meter.rate(this.#clock.now());
    return { received, rate, capacity: null, roundTrip, connections: 0 };
  }

  /** Call off all requests; deliveries that have not ended fail. */
  close() {
    if (this.status === "closed") return;
    this.#end(new LinkLost("the connection was closed on this side"));
    this.#say("closed");
  }

  #begin() {
    if (this.#begun) return;
    this.#begun = true;
    void this.#load();
  }

  /** Load the catalogue, and again later. */
  async #load() {
    try {
      await this.#refresh();
    } catch (error) {
      // A folder that is being replaced may lack a page for a moment.
      if (!this.#root || this.status === "closed") {
        this.#say("closed", error instanceof Error ? error : undefined);
        this.#end(error instanceof Error ? error : new LinkLost(String(error)));
        return;
      }
    }
    this.#callOff = this.#clock.after(ASK_AGAIN, () => void this.#load());
  }

  async #refresh() {
    const text = await this.#text(new URL(ROOT, this.#url), "no-cache");
    if (text === this.#root) return;
    const pages = pagesOf(text);
    let room = MOST_ENTRIES;
    let leftOut = 0;
    /** @type {Map<string, PublishedEntry>} */
    const entries = new Map();
    this.#listing.begin();
    if (!pages.length) this.#take([], true, 0);
    for (const [place, { path, pictures }] of pages.entries()) {
      const last = place === pages.length - 1;
      const fits = pictures <= room;
      if (fits) room -= pictures;
      else leftOut += pictures;
      const found = fits ? await this.#page(path) : [];
      for (const entry of found) {
        entries.set(entry.name, entry);
        this.#entries.set(entry.name, entry);
      }
      this.#take(found, last, leftOut);
    }
    this.#entries = entries;
    this.#root = text;
  }

  /**
   * @param {PublishedEntry[]} images
   * @param {boolean} last
   * @param {number} leftOut
   */
  #take(images, last, leftOut) {
    const page = { changes: false, removed: [], mark: null, left_out: leftOut };
    this.#listing.take({ type: "CATALOGUE", images, last, ...page });
  }

  /** @param {string} path @returns {Promise<PublishedEntry[]>} */
  async #page(path) {
    const text = await this.#text(located(this.#url, path), "default");
    return listOf(parsed(text), "pictures").map((picture) => {
      const { name, stream, thumbnail, bytes, sha256, time } = picture;
      if (![name, stream, thumbnail, sha256].every((value) => typeof value === "string"))
        throw new RemoteProtocolError(`${path} describes a picture wrongly`);
      return {
        name,
        size: Number(bytes) || 0,
        time: Number(time) || 0,
        thumbprint: sha256.slice(0, THUMBPRINT),
        stream: located(this.#url, stream),
        thumbnail: located(this.#url, thumbnail),
      };
    });
  }

  /**
   * Return where a picture's files are, once the catalogue tells.
   *
   * @param {string} name
   */
  async #entry(name) {
    for await (const { complete } of this.#listing.states()) {
      const entry = this.#entries.get(name);
      if (entry) return entry;
      if (complete) break;
    }
    throw new UnknownImage("unknown-image", `there is no picture ${name} here`);
  }

  /**
   * @param {URL} url
   * @param {RequestCache} cache
   */
  async #text(url, cache) {
    const decoder = new TextDecoder();
    let [text, size] = ["", 0];
    await this.#requests.get(url, {
      cache,
      head: () => ([text, size] = ["", 0]),
      take: (piece) => {
        size += piece.length;
        if (size > MOST_BYTES) throw new RemoteProtocolError(`${url.pathname} is too long`);
        text += decoder.decode(piece, { stream: true });
        return false;
      },
    });
    return text + decoder.decode();
  }

  /** @param {Error} error */
  #end(error) {
    this.#callOff();
    this.error = error;
    this.#requests.close(error);
    this.#listing.end(error);
  }

  /** @param {import("./sender.js").Status} status @param {Error} [error] */
  #say(status, error) {
    if (status === this.status && !error) return;
    if (this.status === "closed") return;
    this.status = status;
    this.error = status === "connected" ? null : (error ?? this.error);
    this.onstatus?.(status, error);
  }
}

/** @param {string | URL} url */
function address(url) {
  let parsed;
  try {
    parsed = new URL("./", url);
  } catch {
    parsed = null;
  }
  if (!parsed || !["http:", "https:"].includes(parsed.protocol))
    throw new AddressError(`${url} is not the address of a published folder: say https://HOST/`);
  return parsed;
}

/**
 * Return where a path of the folder is.  Throws RemoteProtocolError if it leads out of it.
 *
 * @param {URL} folder
 * @param {string} path
 */
function located(folder, path) {
  const url = new URL(path.split("/").map(encodeURIComponent).join("/"), folder);
  if (!url.href.startsWith(folder.href) || path.split("/").includes(".."))
    throw new RemoteProtocolError("the catalogue names a file outside its folder");
  return url;
}

/**
 * Return the pages that the catalogue's first file names.
 *
 * @param {string} text
 * @returns {{ path: string, pictures: number }[]}
 */
function pagesOf(text) {
  return listOf(parsed(text), "pages").map(({ path, pictures }) => {
    if (typeof path !== "string" || !(pictures >= 1))
      throw new RemoteProtocolError(`${ROOT} describes a page wrongly`);
    return { path, pictures };
  });
}

/** @param {string} text @returns {any} */
function parsed(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (value?.version !== VERSION)
    throw new RemoteProtocolError("this is no catalogue, or one of a newer version");
  return value;
}

/** @param {any} value @param {string} name @returns {any[]} */
function listOf(value, name) {
  if (!Array.isArray(value[name])) throw new RemoteProtocolError(`a catalogue without ${name}`);
  return value[name];
}
