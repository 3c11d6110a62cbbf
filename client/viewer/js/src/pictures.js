/**
 * The worker's side of decoding.js: pictures by number, rendered on request.
 *
 * Messages are plain objects.  The worker receives configure, model, reference, load, limit, feed,
 * assemble, render, clip (bytes of one), frame (a request for a picture of it), priority and close, and
 * sends model (a request for a model's files), reference (a request for what a stream starts from),
 * rendered, framed, progress and failed.
 *
 * @module
 */

import { ClipPictures } from "./clips/pictures.js";
import { History } from "./codec/history.js";
import { decibel, range } from "./codec/forecast.js";
import { observed, plain, rendered, renderingCost } from "./codec/rendering.js";
import { area } from "./diffusion/octaves.js";
import { asData } from "./crossing.js";
import { NothingDecodable, Superseded } from "./errors.js";
import { Models } from "./models.js";
import { Remembered } from "./remembered.js";
import { starts } from "./starts.js";
import { Turns } from "./turns.js";

/** @typedef {import("./codec/rendering.js").Method} Method */
/** @typedef {import("./codec/estimator.js").Denoiser} Denoiser */
/** @typedef {import("./crossing.js").Incoming} Incoming */
/** @typedef {import("./crossing.js").Outgoing} Outgoing */
/** @typedef {import("./container/reference.js").Named} Named */
/** @typedef {import("./models.js").Files} Files */
/** @typedef {import("./models.js").Info} Info */

/**
 * `bytes` selects a prefix, by default all that has arrived; `observation` shows the noisy
 * observation itself, which needs no method.
 *
 * @typedef {import("./codec/rendering.js").Options & { bytes?: number | null,
 *   observation?: boolean }} Wish
 */

/**
 * A picture rendered from a prefix of its stream.  `octave` and `snr` are those of the observation;
 * `evaluations`, in units of one at full resolution, and `milliseconds` are what rendering took.
 *
 * @typedef {{ pixels: Uint8ClampedArray<ArrayBuffer>, width: number, height: number,
 *   method: Method | "observation", bytes: number, bpp: number, predictedPsnr: number,
 *   predictedPsnrRange: [number, number], octave: number, snr: number, evaluations: number, milliseconds: number }} Shown
 */

/** @typedef {import("./diffusion/reference.js").Picture} Start */

/** @typedef {{ request: number, wish: Wish, progress: boolean }} Request */

/** @typedef {(message: Outgoing, transfer?: Transferable[]) => void} Post */

/** Most bytes of the states of all pictures together. */
const MOST_STATES = 256 * 2 ** 20;
/** How many rendered pictures of a stream are cached, and their most bytes. */
const MOST_REMEMBERED = 8;
const MOST_REMEMBERED_BYTES = 32 * 2 ** 20;
/** How many pictures that streams start from are cached, and their most bytes. */
const MOST_STARTS = 64;
const MOST_STARTS_BYTES = 64 * 2 ** 20;
/** Most bytes that are asked for, so that one picture can be shown. */
const MOST_BEFORE = 2 ** 26;

/** All pictures of one worker. */
export class Pictures {
  #post;
  /** @type {Map<number, Picture>} */
  #pictures = new Map();
  /** @type {Map<number, ClipPictures>} */
  #clips = new Map();
  #turns = new Turns();
  /** @type {Models | null} */
  #models = null;
  /** @type {number | undefined} */
  #mostPixels;
  /** @type {Map<string, (files: Files | null | undefined) => void>} */
  #asked = new Map();
  /** Searches for what streams start from. @type {Map<number, (data: Uint8Array | null) => void>} */
  #searches = new Map();
  #searched = 0;
  /** @type {Remembered<Start>} */
  #starts = new Remembered(MOST_STARTS, MOST_STARTS_BYTES);
  /** @type {Map<string, Promise<Start>>} */
  #underway = new Map();

  /** @param {Post} post */
  constructor(post) {
    this.#post = post;
  }

  /** @param {Incoming} message */
  take(message) {
    if (message.type === "configure") {
      this.#models = new Models(message.setup, (fingerprint) => this.#find(fingerprint));
    } else if (message.type === "model") {
      this.#asked.get(message.fingerprint)?.(message.files);
      this.#asked.delete(message.fingerprint);
    } else if (message.type === "reference") {
      this.#searches.get(message.search)?.(message.data);
      this.#searches.delete(message.search);
    } else if (message.type === "load") {
      this.#models?.get(message.fingerprint).catch(() => {});
    } else if (message.type === "limit") {
      this.#mostPixels = message.pixels;
    } else if (message.type === "close") {
      this.#pictures.get(message.picture)?.close();
      this.#pictures.delete(message.picture);
      this.#clips.get(message.picture)?.close();
      this.#clips.delete(message.picture);
    } else if (message.type === "clip") {
      this.#clip(message.picture).feed(message.data);
    } else if (message.type === "frame") {
      this.#clip(message.picture).frame(message);
    } else if (message.type === "priority" && this.#clips.has(message.picture)) {
      this.#clip(message.picture).priority = message.priority;
    } else {
      const picture = this.#picture(message.picture);
      if (message.type === "feed") picture.history.feed(message.data);
      else if (message.type === "assemble") picture.assemble(message.parts);
      else if (message.type === "priority") picture.priority = message.priority;
      else picture.render(message);
    }
  }

  /** @param {number} number */
  #picture(number) {
    let picture = this.#pictures.get(number);
    if (!picture) {
      picture = new Picture(this.#shared(number));
      this.#pictures.set(number, picture);
    }
    return picture;
  }

  /** @param {number} number */
  #clip(number) {
    let clip = this.#clips.get(number);
    if (!clip) {
      clip = new ClipPictures(this.#shared(number));
      this.#clips.set(number, clip);
    }
    return clip;
  }

  /** @param {number} number @returns {Shared} */
  #shared(number) {
    if (!this.#models) throw new TypeError("configure comes first");
    return {
      models: this.#models,
      turns: this.#turns,
      post: this.#post,
      thin: () => this.#thin(),
      search: (reference) => this.#search(number, reference),
      starts: this.#starts,
      underway: this.#underway,
      mostPixels: this.#mostPixels,
    };
  }

  /**
   * @param {string} fingerprint
   * @returns {Promise<Files | null | undefined>}
   */
  #find(fingerprint) {
    return new Promise((resolve) => {
      this.#asked.set(fingerprint, resolve);
      this.#post({ type: "model", fingerprint });
    });
  }

  /**
   * @param {number} picture
   * @param {Named} reference
   * @returns {Promise<Uint8Array | null>}
   */
  #search(picture, reference) {
    const search = ++this.#searched;
    return new Promise((resolve) => {
      this.#searches.set(search, resolve);
      this.#post({ type: "reference", picture, search, reference });
    });
  }

  /** Drop states until they fit, those of the least recently rendered pictures first. */
  #thin() {
    const pictures = [...this.#pictures.values()].sort((a, b) => a.looked - b.looked);
    const total = () => pictures.reduce((sum, { history }) => sum + history.bytes, 0);
    for (const { history } of pictures) {
      while (history.bytes && total() > MOST_STATES) history.thin();
    }
  }
}

/**
 * What the pictures of a worker share; `search` asks for the bytes that a reference names, and
 * `starts` are those that have been made, and those `underway` are being made.
 *
 * @typedef {{ models: Models, turns: Turns, post: Post, thin: () => void,
 *   search: import("./starts.js").Find, starts: Remembered<Start>,
 *   underway: Map<string, Promise<Start>>,
 *   mostPixels: number | undefined }} Shared
 */

/** One stream and the request to render it. */
class Picture {
  history;
  priority = 0;
  /** When it was last rendered. */
  looked = 0;
  #models;
  #turns;
  #post;
  #thin;
  #references;
  #mostPixels;
  /** @type {Request | null} */
  #next = null;
  #busy = false;
  #closed = false;
  /** @type {Remembered<Shown>} */
  #remembered = new Remembered(MOST_REMEMBERED, MOST_REMEMBERED_BYTES);
  /** @type {((evaluated: number) => void) | null} */
  #count = null;

  /** @param {Shared} shared */
  constructor({ models, turns, post, thin, search, starts: remembered, underway, mostPixels }) {
    this.history = new History(mostPixels);
    this.#models = models;
    this.#turns = turns;
    this.#post = post;
    this.#thin = thin;
    this.#mostPixels = mostPixels;
    const get = async (/** @type {string} */ fingerprint) => ({
      fingerprint,
      denoiser: this.#onceInTurn(await models.get(fingerprint)),
    });
    /** @type {import("./starts.js").Find} */
    const find = async (named) => {
      const data = await search(named);
      if (this.#closed) throw new Superseded("the picture was closed");
      return data;
    };
    const shared = { remembered, underway, mostPixels, mostBytes: MOST_BEFORE };
    this.#references = starts({ get }, find, shared);
  }

  /** @param {import("./packets/stream.js").Part[]} parts */
  assemble(parts) {
    const history = new History(this.#mostPixels);
    history.assemble(parts, this.history);
    this.history = history;
    this.#remembered.clear();
  }

  /** @param {Request} request */
  render(request) {
    this.#supersede();
    this.#next = request;
    if (!this.#busy) void this.#run();
  }

  close() {
    this.#closed = true;
    this.#supersede();
  }

  #supersede() {
    if (this.#next) this.#fail(this.#next, new Superseded("a newer picture is wanted"));
    this.#next = null;
  }

  /** Render until no request waits. */
  async #run() {
    this.#busy = true;
    while (this.#next) {
      // A newer request may replace this one until its turn.
      const denoiser = await this.#denoiser();
      await this.#turns.enter(this);
      try {
        const request = /** @type {Request | null} */ (this.#next);
        this.#next = null;
        if (request) await this.#answer(request, denoiser);
      } finally {
        this.#turns.leave();
      }
    }
    this.#busy = false;
  }

  /**
   * Return the stream's denoiser once all that it needs is here, or the error that prevents it.
   *
   * @returns {Promise<Denoiser | Error>}
   */
  async #denoiser() {
    try {
      for (;;) {
        const { history } = this;
        const { header } = history;
        if (!header) throw history.failure ?? new NothingDecodable("nothing has arrived yet");
        const denoiser = await this.#models.get(header.model);
        await history.prepare(this.#references);
        // Other parts may have come meanwhile.
        if (history === this.history) return denoiser;
      }
    } catch (error) {
      return /** @type {Error} */ (error);
    }
  }

  /**
   * @param {Request} request
   * @param {Denoiser | Error} denoiser
   */
  async #answer(request, denoiser) {
    try {
      if (denoiser instanceof Error) throw denoiser;
      const shown = await this.#shown(request, denoiser);
      // Transfer a copy, because the picture stays in the cache.
      const pixels = shown.pixels.slice();
      const { info } = this.#models;
      const message = { ...shown, pixels };
      const { request: number } = request;
      this.#post({ type: "rendered", request: number, shown: message, info }, [pixels.buffer]);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /**
   * @param {Request} request
   * @param {Denoiser} evaluate
   * @returns {Promise<Shown>}
   */
  async #shown({ request, wish, progress }, evaluate) {
    const { history } = this;
    const began = performance.now();
    this.looked = began;
    const options = plain(wish);
    const bytes = Math.min(wish.bytes ?? Infinity, history.received);
    const { method, symmetries, maxSide } = options;
    const key = [bytes, wish.observation ? "observation" : method, symmetries, maxSide].join();
    const remembered = this.#remembered.get(key);
    if (remembered) return remembered;
    const { header } = history;
    if (!header) throw new NothingDecodable("nothing has arrived yet");
    const foreseen = history.expected(bytes);
    const rendering = renderingCost(foreseen.sizes, foreseen.state, options);
    const whole = foreseen.cost + (wish.observation ? 0 : rendering);
    let evaluated = 0;
    this.#count = (pixels) => {
      evaluated += pixels / area(foreseen.sizes[0]);
      const fraction = Math.min(1, evaluated / whole);
      if (progress) this.#post({ type: "progress", request, fraction });
    };
    const denoiser = this.#inTurn(evaluate);
    const state =
      bytes < history.received
        ? { ...(await history.at(bytes, denoiser)), bytes }
        : await history.newest(denoiser);
    const { chain, after } = state;
    const picture = wish.observation
      ? observed(chain, after)
      : await rendered(chain, after, options);
    this.#thin();
    const { octave, snr } = after.observation;
    /** @type {Shown} */
    const shown = {
      ...picture,
      method: wish.observation ? "observation" : (wish.method ?? "mmse"),
      bytes: state.bytes,
      bpp: (8 * state.bytes) / (header.width * header.height),
      predictedPsnr: decibel(after.expected.error),
      predictedPsnrRange: range(after.expected),
      octave,
      snr,
      evaluations: evaluated,
      milliseconds: performance.now() - began,
    };
    if (history === this.history) this.#remembered.set(key, shown);
    return shown;
  }

  /**
   * Return a denoiser that yields to pictures of higher priority, and counts its evaluations.
   *
   * @param {Denoiser} evaluate
   * @returns {Denoiser}
   */
  #inTurn(evaluate) {
    return async (eta, size, snr, field) => {
      await this.#turns.pass(this);
      if (this.#closed) throw new Superseded("the picture was closed");
      const xHat = await evaluate(eta, size, snr, field);
      this.#count?.(area(size));
      return xHat;
    };
  }

  /**
   * Return a denoiser each evaluation of which waits for a turn.
   *
   * @param {Denoiser} evaluate
   * @returns {Denoiser}
   */
  #onceInTurn(evaluate) {
    return async (eta, size, snr, field) => {
      await this.#turns.enter(this);
      try {
        if (this.#closed) throw new Superseded("the picture was closed");
        return await evaluate(eta, size, snr, field);
      } finally {
        this.#turns.leave();
      }
    };
  }

  /**
   * @param {Request} request
   * @param {unknown} error
   */
  #fail({ request }, error) {
    this.#post({ type: "failed", request, error: asData(error) });
  }
}
