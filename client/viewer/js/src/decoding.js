/**
 * Decoding in a worker, so that a page stays responsive: pictures of streams that are still
 * arriving.
 *
 * @module
 */

import { Clip } from "./clips/clip.js";
import { revived } from "./crossing.js";
import { ModelUnavailable, Superseded } from "./errors.js";

/** @typedef {import("./models.js").Files} Files */
/** @typedef {import("./models.js").Info} Info */
/** @typedef {import("./models.js").Setup} Setup */
/** @typedef {import("./crossing.js").Incoming} Incoming */
/** @typedef {import("./crossing.js").Outgoing} Outgoing */
/** @typedef {import("./pictures.js").Shown} Shown */
/** @typedef {import("./pictures.js").Wish} Wish */
/** @typedef {import("./starts.js").Find} Find */

/**
 * The common part of a worker and a message port.
 *
 * @typedef {{ postMessage(message: any, transfer: any[]): void,
 *   addEventListener(type: "message", listener: (event: any) => void): void,
 *   start?(): void, terminate?(): void, close?(): void }} Port
 */

/**
 * `worker` is the URL of worker.js, or a port to one; `model` returns the locations of the two
 * files of a model, by its fingerprint, or null if it is not available.
 *
 * @typedef {Setup & { worker: URL | string | Port,
 *   model: (fingerprint: string) => Files | null | Promise<Files | null> }} Options
 */

/** @typedef {{ resolve: (shown: any) => void, reject: (error: Error) => void,
 *   onprogress?: (fraction: number) => void }} Awaited */

/** @typedef {{ find: Find, stopping: AbortController }} Finding */

/** A worker and the pictures that it decodes. */
export class Decoding {
  /** @type {Port} */
  #port;
  #model;
  #pictures = 0;
  #requests = 0;
  /** @type {Map<number, Awaited>} */
  #awaited = new Map();
  /** What finds the pictures that a picture's stream starts from. @type {Map<number, Finding>} */
  #findings = new Map();
  /** @type {Info | null} */
  #info = null;
  /** The error after which nothing is rendered. @type {Error | null} */
  #over = null;

  /** @param {Options} options */
  constructor({ worker, model, runtime, provider, threads }) {
    this.#model = model;
    this.#port =
      typeof worker === "string" || worker instanceof URL
        ? new Worker(worker, { type: "module" })
        : worker;
    this.#port.addEventListener("message", ({ data }) => void this.#take(data));
    this.#port.start?.();
    if (typeof Worker !== "undefined" && this.#port instanceof Worker) {
      this.#port.addEventListener("error", ({ message }) => {
        const error = new ModelUnavailable(
          `the worker failed: ${message || "it could not be loaded"}`,
        );
        // A worker that has started survives its errors.
        if (!message) this.#over = error;
        this.#end(error);
      });
    }
    const urls = { ...runtime };
    for (const key of /** @type {const} */ (["module", "wasm", "gpu"])) {
      // The worker would resolve relative URLs against its own.
      if (urls[key] !== undefined) urls[key] = absolute(urls[key]);
    }
    this.#post({ type: "configure", setup: { runtime: urls, provider, threads } });
  }

  /** The provider and its number of threads; null before the first picture has been rendered. */
  info() {
    return this.#info;
  }

  /**
   * Load a model before a stream names it.  render() reports its errors.
   *
   * @param {string} fingerprint
   */
  load(fingerprint) {
    this.#post({ type: "load", fingerprint });
  }

  /**
   * Set the most pixels of pictures that are made from now on.
   *
   * @param {number} pixels
   */
  limit(pixels) {
    this.#post({ type: "limit", pixels });
  }

  /**
   * Return a new picture, of which nothing has arrived.
   *
   * Streams may start from a picture that was received before.  `reference` is asked for its bytes
   * and returns them, or null; they are checked.  Without it, render() rejects with MissingReference
   * for such streams.
   *
   * @param {{ reference?: Find | null }} [options]
   */
  picture({ reference = null } = {}) {
    const number = ++this.#pictures;
    if (reference) {
      this.#findings.set(number, { find: reference, stopping: new AbortController() });
    }
    return new Picture(number, (message, transfer) => this.#post(message, transfer), {
      render: (picture, wish, onprogress) => this.#render(picture, wish, onprogress),
      closed: () => this.#forget(number),
    });
  }

  /** Return a new clip, a stream of several pictures of which nothing has arrived. */
  clip() {
    const number = ++this.#pictures;
    const post = (/** @type {Incoming} */ message, /** @type {Transferable[]} */ transfer = []) =>
      this.#post(message, transfer);
    return new Clip(number, post, (clip, wish) =>
      this.#requested((request) => ({ type: "frame", picture: clip, request, wish })),
    );
  }

  /** End the worker; present and later calls of render() reject with Superseded. */
  close() {
    this.#over = new Superseded("decoding has ended");
    this.#end(this.#over);
    for (const number of [...this.#findings.keys()]) this.#forget(number);
    this.#port.terminate?.();
    this.#port.close?.();
  }

  /**
   * @param {number} picture
   * @param {Wish} wish
   * @param {((fraction: number) => void) | undefined} onprogress
   * @returns {Promise<Shown>}
   */
  #render(picture, wish, onprogress) {
    const progress = onprogress !== undefined;
    return this.#requested(
      (request) => ({ type: "render", picture, request, wish, progress }),
      onprogress,
    );
  }

  /**
   * Send a message with a new number, and return what the worker answers it.
   *
   * @param {(request: number) => Incoming} message
   * @param {((fraction: number) => void) | undefined} [onprogress]
   * @returns {Promise<any>}
   */
  #requested(message, onprogress) {
    if (this.#over) return Promise.reject(this.#over);
    const request = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#awaited.set(request, { resolve, reject, onprogress });
      this.#post(message(request));
    });
  }

  /**
   * @param {Incoming} message
   * @param {Transferable[]} [transfer]
   */
  #post(message, transfer = []) {
    this.#port.postMessage(message, transfer);
  }

  /** @param {Outgoing} message */
  async #take(message) {
    if (message.type === "model") {
      this.#post(await this.#found(message.fingerprint));
      return;
    }
    if (message.type === "reference") {
      const data = await this.#sought(message.picture, message.reference);
      this.#post({ type: "reference", search: message.search, data }, data ? [data.buffer] : []);
      return;
    }
    const awaited = this.#awaited.get(message.request);
    if (message.type === "progress") {
      awaited?.onprogress?.(message.fraction);
      return;
    }
    this.#awaited.delete(message.request);
    if (message.type === "rendered") {
      this.#info = message.info ?? this.#info;
      awaited?.resolve(message.shown);
    } else if (message.type === "framed") {
      this.#info = message.info ?? this.#info;
      awaited?.resolve(message.frame);
    } else {
      awaited?.reject(revived(message.error));
    }
  }

  /**
   * @param {string} fingerprint
   * @returns {Promise<Incoming>}
   */
  async #found(fingerprint) {
    let files = null;
    try {
      files = await this.#model(fingerprint);
    } catch {
      // An error counts as a model that is not available.
    }
    if (!files) return { type: "model", fingerprint, files: null };
    const [graph, weights] = [files.graph, files.weights].map((file) =>
      file instanceof Uint8Array ? file : absolute(file),
    );
    return { type: "model", fingerprint, files: { graph, weights } };
  }

  /**
   * Return the bytes that a picture's stream starts from; null if they cannot be had.
   *
   * @param {number} picture
   * @param {import("./container/reference.js").Named} reference
   */
  async #sought(picture, reference) {
    const finding = this.#findings.get(picture);
    if (!finding) return null;
    try {
      // Few streams need it, and it brings the code for hashes.
      const { checked } = await import("./references.js");
      const data = await checked(finding.find, reference, finding.stopping.signal);
      return data?.slice() ?? null;
    } catch {
      return null; // an error counts as bytes that are not here
    }
  }

  /** @param {number} picture */
  #forget(picture) {
    this.#findings.get(picture)?.stopping.abort();
    this.#findings.delete(picture);
  }

  /** @param {Error} error */
  #end(error) {
    for (const { reject } of this.#awaited.values()) reject(error);
    this.#awaited.clear();
  }
}

/** One stream's picture. */
class Picture {
  #number;
  #post;
  #seam;
  #priority = 0;
  #closed = false;

  /**
   * @param {number} number
   * @param {(message: Incoming, transfer?: Transferable[]) => void} post
   * @param {{ render: (picture: number, wish: Wish,
   *   onprogress: ((fraction: number) => void) | undefined) => Promise<Shown>,
   *   closed: () => void }} seam
   */
  constructor(number, post, seam) {
    this.#number = number;
    this.#post = post;
    this.#seam = seam;
  }

  /**
   * Take more bytes of the stream.  Returns at once; render() reports their errors.
   *
   * @param {Uint8Array} bytes
   */
  feed(bytes) {
    if (this.#closed) return;
    const data = bytes.slice();
    this.#post({ type: "feed", picture: this.#number, data }, [data.buffer]);
  }

  /**
   * Have these parts of a stream and no others, bytes and how many are missing between them, as a
   * PacketReceiver's `newest.parts()` gives them.  Returns at once; render() reports their errors.
   *
   * What has been computed before is used again as far as it is still right.  render() then shows all
   * that is there, or what comes before the first gap if what follows it is of no use.
   *
   * @param {import("./packets/stream.js").Part[]} parts
   */
  assemble(parts) {
    if (!this.#closed) this.#post({ type: "assemble", picture: this.#number, parts });
  }

  /**
   * Render all that has arrived, or the first `bytes` bytes.
   *
   * Rejects with Superseded if render() is called again for this picture before this call has
   * begun, or with NothingDecodable, CorruptStream, UnknownModel, ModelUnavailable, PictureTooLarge
   * and other errors of this package.  After each evaluation of the denoiser, `onprogress` gets the
   * share of the work that is done, from 0 to 1.
   *
   * @param {Wish & { onprogress?: (fraction: number) => void }} [options]
   * @returns {Promise<Shown>}
   */
  render({ onprogress, ...wish } = {}) {
    if (this.#closed) return Promise.reject(new Superseded("the picture was closed"));
    return this.#seam.render(this.#number, wish, onprogress);
  }

  /** Pictures of a higher priority are rendered sooner; 0 by default. */
  get priority() {
    return this.#priority;
  }

  set priority(priority) {
    this.#priority = priority;
    if (this.#closed) return;
    this.#post({ type: "priority", picture: this.#number, priority });
  }

  /** Release the picture; a waiting render() rejects with Superseded. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#post({ type: "close", picture: this.#number });
    this.#seam.closed();
  }
}

/** @param {string | URL} url */
function absolute(url) {
  return new URL(url, globalThis.document?.baseURI ?? import.meta.url).href;
}
