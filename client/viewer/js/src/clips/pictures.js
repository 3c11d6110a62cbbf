/**
 * The worker's side of a clip: its stream, and its pictures, rendered one after the other.
 *
 * Bytes are decoded when a picture is asked for.  While many of them wait, decoding takes most of the
 * time, and pictures are rendered in between, so that something is to be seen soon.
 *
 * @module
 */

import { asData } from "../crossing.js";
import { StreamReader } from "../container/reader.js";
import { CorruptStream, NothingDecodable, Superseded } from "../errors.js";
import { ClipDecoder } from "./decoder.js";
import { MOST_PIXELS } from "./group.js";

/** @typedef {import("../codec/estimator.js").Denoiser} Denoiser */
/** @typedef {import("../container/clip.js").Clip} Clip */
/** @typedef {import("../codec/rendering.js").Picture} Picture */

/**
 * Which picture is wanted, from 0; null is the next one that is better known than when it was sent,
 * where with `anew` nothing was sent yet.  `maxSide` halves it until its longer side fits.
 *
 * @typedef {{ number: number | null, maxSide: number | null, anew: boolean }} FrameWish
 */

/**
 * What is known of one or several pictures of a clip, `numbers`, which look the same so far.
 *
 * `bytes` are those that it was made from, `bpp` per pixel of all pictures, and `predictedPsnr` is the
 * mean of all pictures of which something is known, in dB.  `evaluations`, in units of one of a whole
 * picture, and `milliseconds` are what it took.  The other fields are there so that it can be shown
 * where single pictures are.
 *
 * @typedef {Picture & { clip: Clip, numbers: number[], method: "mmse", bytes: number, bpp: number,
 *   predictedPsnr: number, predictedPsnrRange: [number, number], octave: number, snr: number,
 *   evaluations: number, milliseconds: number }} Frame
 */

/** @typedef {{ request: number, wish: FrameWish }} Request */

/** Bytes that are decoded before the time is looked at. */
const PIECE = 64;
/** Decoding takes so many times as long as rendering, while bytes wait. */
const SHARE = 3;
/** Milliseconds after which the event loop delivers messages. */
const BREATH = 12;
/** A stream may be longer than its uncompressed pictures by so many bytes. */
const SPARE = 2 ** 16;

/** The pictures of one stream. */
export class ClipPictures {
  priority = 0;
  #models;
  #turns;
  #post;
  #decoder;
  /** Parses what arrives at once, so that damage is known of before it is decoded. */
  #parser = new StreamReader();
  /** What has arrived and was not decoded yet. @type {Uint8Array[]} */
  #waiting = [];
  /** Bytes that may be decoded: of a damaged stream those that a check has found intact. */
  #good = Infinity;
  /** @type {unknown} */
  #failure = null;
  /** What was known of each picture when it was last sent. @type {string[]} */
  #sent = [];
  /** When each was last rendered: a number that grows. @type {Map<number, number>} */
  #rendered = new Map();
  /** Milliseconds that the last rendering took. */
  #took = 0;
  /** Those that are not begun. @type {Request[]} */
  #requests = [];
  #busy = false;
  #closed = false;
  #breathed = performance.now();

  /**
   * @param {Pick<import("../pictures.js").Shared, "models" | "turns" | "post" | "mostPixels">} shared
   */
  constructor({ models, turns, post, mostPixels = MOST_PIXELS }) {
    this.#models = models;
    this.#turns = turns;
    this.#post = post;
    const get = async (/** @type {string} */ fingerprint) => ({
      fingerprint,
      denoiser: this.#inTurn(await models.get(fingerprint)),
    });
    this.#decoder = new ClipDecoder({ get }, { mostPixels: Math.min(mostPixels, MOST_PIXELS) });
  }

  /** Take more bytes of the stream; frame() tells of errors in them. @param {Uint8Array} data */
  feed(data) {
    if (this.#failure) return;
    this.#waiting.push(data);
    try {
      Array.from(this.#parser.feed(data));
      this.#limit();
    } catch (error) {
      this.#failure = error;
      this.#good = this.#parser.verified;
    }
  }

  /** Render a picture, after those that were asked for before. @param {Request} request */
  frame(request) {
    this.#requests.push(request);
    if (!this.#busy) void this.#run();
  }

  close() {
    this.#closed = true;
  }

  /** Throw CorruptStream if there are more bytes than the pictures have. */
  #limit() {
    const { header, received } = this.#parser;
    const pixels = header ? header.width * header.height * (header.clip?.pictures ?? 1) : 0;
    if (received > 3 * pixels + SPARE) {
      throw new CorruptStream("more bytes than any clip has", 3 * pixels + SPARE);
    }
  }

  async #run() {
    this.#busy = true;
    for (let request; (request = this.#requests.shift());) {
      try {
        if (this.#closed) throw new Superseded("the clip was closed");
        const frame = await this.#frame(request.wish);
        if (this.#closed) throw new Superseded("the clip was closed");
        const message = { request: request.request, frame, info: this.#models.info };
        this.#post({ type: "framed", ...message }, frame ? [frame.pixels.buffer] : []);
      } catch (error) {
        this.#fail(request, error);
      }
    }
    this.#busy = false;
  }

  /**
   * Return the picture that is wanted; null if all is as it was sent.
   *
   * @param {FrameWish} wish
   * @returns {Promise<Frame | null>}
   */
  async #frame({ number, maxSide, anew }) {
    if (anew) this.#sent = [];
    const before = this.#decoder.evaluations;
    const began = performance.now();
    await this.#decode(number === null ? SHARE * this.#took : Infinity);
    const found = number === null ? this.#stalest(maxSide) : this.#known(number);
    if (!found) {
      if (this.#failure) throw this.#failure;
      if (number === null) return null;
      throw new NothingDecodable("nothing can be decoded yet: no record has arrived");
    }
    const rendering = performance.now();
    const frame = await this.#made(found, maxSide);
    this.#took = performance.now() - rendering;
    frame.evaluations = this.#decoder.evaluations - before;
    frame.milliseconds = performance.now() - began;
    if (number === null) {
      for (const other of found.numbers) this.#sent[other] = `${found.state}/${maxSide}`;
      this.#rendered.set(found.shown, began);
    }
    return frame;
  }

  /**
   * Decode bytes that wait until there is a picture, and for so many milliseconds.
   *
   * @param {number} time
   */
  async #decode(time) {
    const began = performance.now();
    const decoder = this.#decoder;
    while (this.#waiting.length) {
      const now = performance.now();
      if (decoder.ready && now - began >= time) return;
      if (now - this.#breathed > BREATH) {
        await new Promise((resolve) => setTimeout(resolve));
        this.#breathed = performance.now();
      }
      const size = Math.min(PIECE, this.#good - decoder.bytesReceived);
      const piece = this.#waiting[0].subarray(0, Math.max(0, size));
      this.#waiting[0] = this.#waiting[0].subarray(piece.length);
      if (!this.#waiting[0].length) this.#waiting.shift();
      if (!piece.length) {
        this.#waiting = [];
        return;
      }
      try {
        await decoder.feed(piece);
      } catch (error) {
        this.#failure ??= error;
        this.#waiting = [];
      }
    }
  }

  /** @param {number} number */
  #known(number) {
    const known = this.#decoder.known(number);
    return known && { ...known, numbers: [number] };
  }

  /**
   * Return of the pictures that are better known than when they were sent the one that was rendered
   * longest ago, with all those that look the same; null if there are none.
   *
   * @param {number | null} maxSide
   */
  #stalest(maxSide) {
    /** @type {{ shown: number, state: string, numbers: number[] } | null} */
    let stalest = null;
    let oldest = Infinity;
    for (let number = 0; number < this.#decoder.length; number++) {
      const known = this.#decoder.known(number);
      if (!known || this.#sent[number] === `${known.state}/${maxSide}`) continue;
      const rendered = this.#rendered.get(known.shown) ?? -1;
      if (stalest?.shown === known.shown) stalest.numbers.push(number);
      else if (rendered < oldest) {
        stalest = { ...known, numbers: [number] };
        oldest = rendered;
      }
    }
    return stalest;
  }

  /**
   * @param {{ shown: number, numbers: number[] }} found
   * @param {number | null} maxSide
   * @returns {Promise<Frame>}
   */
  async #made({ shown, numbers }, maxSide) {
    const decoder = this.#decoder;
    const picture = await decoder.render(shown, { maxSide });
    const psnr = await decoder.predictedPsnr();
    const { width, height, clip } = /** @type {import("../container/grammar.js").Header} */ (
      decoder.header
    );
    const several = /** @type {Clip} */ (clip);
    const bytes = decoder.bytesReceived;
    return {
      ...picture,
      clip: several,
      numbers,
      method: "mmse",
      bytes,
      bpp: (8 * bytes) / (width * height * several.pictures),
      predictedPsnr: psnr,
      predictedPsnrRange: [psnr, psnr],
      octave: 0,
      snr: 0,
      evaluations: 0,
      milliseconds: 0,
    };
  }

  /**
   * Return a denoiser each evaluation of which waits for a turn.
   *
   * @param {Denoiser} evaluate
   * @returns {Denoiser}
   */
  #inTurn(evaluate) {
    return async (eta, size, snr, field) => {
      await this.#turns.enter(this);
      try {
        if (this.#closed) throw new Superseded("the clip was closed");
        return await evaluate(eta, size, snr, field);
      } finally {
        this.#turns.leave();
      }
    };
  }

  /** @param {Request} request @param {unknown} error */
  #fail({ request }, error) {
    this.#post({ type: "failed", request, error: asData(error) });
  }
}
