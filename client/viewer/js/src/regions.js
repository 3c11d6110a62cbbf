/**
 * Regions of a picture that a viewer asks for while it arrives, laid over the whole.
 *
 *     const regions = new Regions("coffee.jpg", sender, decoding);
 *     regions.addEventListener("change", () => show(regions.over(shown)));
 *     regions.sharpen({ left: 300, top: 120, width: 200, height: 160 }, bytes, shown);
 *
 * One is received at a time.  What an earlier one has brought stays, in the order of arrival, until
 * the whole picture has as many bits per pixel and is expected to be as good.
 *
 * @module
 */

import { PeerError, StreamError, Superseded } from "./errors.js";
import { checked } from "./references.js";
import { Code } from "./session/messages.js";
import { PrefixHash } from "./session/prefix.js";
import { covering, pixels } from "./session/region.js";

/** How good a region becomes, in dB, unless something else is said: then the rest goes on. */
export const GOOD = 36;
/** It comes first, beside the stream of the whole picture. */
const WEIGHT = 100;
/** A region is computed before the whole picture. */
const URGENT = 2;
/** The place of the model's fingerprint in a stream. */
const MODEL = /** @type {const} */ ([4, 8]);

/** @typedef {import("./session/region.js").Rectangle} Rectangle */
/** @typedef {import("./session/receiver.js").Target} Target */
/** @typedef {import("./pictures.js").Shown} Shown */
/** @typedef {import("./pictures.js").Wish} Wish */
/** @typedef {import("./starts.js").Find} Find */
/** @typedef {"receiving" | "complete" | "target" | "stopped" | "failed"} State */

/**
 * A region that was asked for: its pixels in the picture, how many bytes of its own stream have
 * arrived, what was rendered of them, and the error that ended it.
 *
 * @typedef {object} Part
 * @property {Rectangle} rectangle
 * @property {number} length
 * @property {Shown | null} shown
 * @property {State} state
 * @property {Error | null} error
 */

/** The regions of one picture.  Dispatches "change" when there is more of one, or it has ended. */
export class Regions extends EventTarget {
  #name;
  #sender;
  #decoding;
  #find;
  /** @type {Region[]} */
  #parts = [];
  /** @type {Region | null} */
  #newest = null;
  /** @type {Pick<Wish, "method">} */
  #wish = {};

  /**
   * @param {string} name of the picture
   * @param {Pick<import("./sender.js").Sender, "open">} sender
   * @param {Pick<import("./decoding.js").Decoding, "picture">} decoding
   * @param {Find | null} [find] finds what the whole picture's stream starts from
   */
  constructor(name, sender, decoding, find = null) {
    super();
    this.#name = name;
    this.#sender = sender;
    this.#decoding = decoding;
    this.#find = find;
  }

  /** The region that was asked for last; null if there is none. @returns {Part | null} */
  get newest() {
    return this.#newest;
  }

  /** How regions are rendered: 0, the smallest error, to 1. @param {number} method */
  set method(method) {
    this.#wish = { method };
    if (this.#newest?.length) void this.#draw(this.#newest);
  }

  /**
   * Have a region sent before the rest; one that was asked for before is stopped.
   *
   * It starts from the bytes of the picture's stream that are `held`, and comes to its own `target`.
   * Throws RangeError if it is not within the picture, which has the given size.
   *
   * @param {Rectangle} rectangle in pixels
   * @param {Uint8Array} held
   * @param {{ width: number, height: number }} size
   * @param {Target} [target]
   */
  sharpen(rectangle, held, { width, height }, target = { psnr: GOOD }) {
    const cells = covering(rectangle, width, height);
    if (!cells) {
      const { left, top, width: columns, height: rows } = rectangle;
      throw new RangeError(
        `the region ${[left, top, columns, rows]} is not within the picture, ` +
          `which has ${width}x${height} pixels`,
      );
    }
    this.stop();
    const part =
      this.#parts.find(({ region }) => same(region, cells)) ??
      new Region(cells, pixels(cells, width, height), held);
    this.#parts = [...this.#parts.filter((other) => other !== part), part];
    this.#newest = part;
    void this.#receive(part, target);
  }

  /** Receive no more of the region; what it has brought stays. */
  stop() {
    this.#newest?.delivery?.stop();
    this.#newest?.rest();
    this.#newest = null;
  }

  /** Drop all regions. */
  clear() {
    this.stop();
    this.#parts = [];
  }

  /**
   * Return the regions that show their places better than a rendered picture does, the first to come
   * first.
   *
   * @param {Shown} whole
   * @returns {(Part & { shown: Shown })[]}
   */
  better(whole) {
    if (whole.method === "observation") return [];
    const parts = this.#parts.filter((part) => part.betterThan(whole));
    return /** @type {(Region & { shown: Shown })[]} */ (parts);
  }

  /**
   * Return a rendered picture with the regions that are better; itself if there are none.
   *
   * @param {Shown} whole
   * @returns {Shown}
   */
  over(whole) {
    const parts = this.better(whole);
    if (!parts.length) return whole;
    const laid = whole.pixels.slice();
    for (const { rectangle, shown } of parts) layOver(laid, whole.width, rectangle, shown.pixels);
    return { ...whole, pixels: laid };
  }

  /** @param {Region} part @param {Target} target @returns {Promise<void>} */
  async #receive(part, target) {
    /** @type {import("./delivery.js").Delivery | null} */
    let delivery = null;
    // Once it is asked for again, what is still in flight comes over the new delivery, too.
    const replaced = () => part.delivery !== delivery;
    part.delivery = null;
    try {
      part.state = "receiving";
      part.error = null;
      this.#begin(part);
      const options = { ...target, weight: WEIGHT, region: part.region, model: part.model };
      part.delivery = delivery = this.#sender.open(this.#name, { ...options, held: part.bytes });
      for await (const piece of delivery) {
        if (replaced()) return;
        part.take(piece);
        if (part === this.#newest) void this.#draw(part);
      }
      const { reason } = await delivery.ended;
      if (replaced()) return;
      part.state = /** @type {State} */ (reason);
    } catch (error) {
      if (replaced()) return;
      const other = error instanceof PeerError && error.code === Code.PREFIX_MISMATCH;
      if (other && part.length && part === this.#newest) {
        // Another sender has gone on, which encodes otherwise.
        part.restart();
        await this.#receive(part, target);
        return;
      }
      this.#fail(part, error);
    } finally {
      if (!replaced()) part.delivery = null;
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Region} part */
  #begin(part) {
    part.rest();
    const reference = async (
      /** @type {Parameters<Find>[0]} */ named,
      /** @type {AbortSignal | undefined} */ signal,
    ) => (await checked(() => part.whole, named)) ?? this.#find?.(named, signal) ?? null;
    part.picture = this.#decoding.picture({ reference });
    part.picture.priority = URGENT;
    if (part.length) part.picture.feed(part.bytes);
  }

  /** Render what has arrived, and again if more has come meanwhile. @param {Region} part */
  async #draw(part) {
    part.due = true;
    if (part.drawing) return;
    part.drawing = true;
    while (part.due && part.picture) {
      part.due = false;
      const { picture } = part;
      // Once it is asked for again, its bytes are in another picture.
      const replaced = () => part.picture !== null && part.picture !== picture;
      try {
        const shown = await picture.render(this.#wish);
        if (replaced()) throw new Superseded("the region was asked for again");
        const { width, height } = part.rectangle;
        if (shown.width !== width || shown.height !== height)
          throw new StreamError("the stream of the region is that of another one");
        part.shown = shown;
        this.dispatchEvent(new Event("change"));
      } catch (error) {
        const name = error instanceof Error ? error.name : "";
        if (replaced()) part.due = true;
        // Too few bytes, or it is not wanted any more.
        else if (name !== "NothingDecodable" && name !== "Superseded") {
          this.#fail(part, error);
          part.delivery?.stop();
          this.dispatchEvent(new Event("change"));
          break;
        }
      }
    }
    part.drawing = false;
  }

  /** @param {Region} part @param {unknown} error */
  #fail(part, error) {
    part.state = "failed";
    part.error ??= error instanceof Error ? error : new Error(String(error));
  }
}

/** A region that was asked for, and what there is of it. */
class Region {
  rectangle;
  region;
  whole;
  length = 0;
  /** @type {Shown | null} */ shown = null;
  /** @type {State} */ state = "receiving";
  /** @type {Error | null} */ error = null;
  /** @type {import("./delivery.js").Delivery | null} */ delivery = null;
  /** @type {ReturnType<import("./decoding.js").Decoding["picture"]> | null} */ picture = null;
  /** Whether it is being rendered, and whether there is more to render. */
  drawing = false;
  due = false;
  /** @type {Uint8Array[]} */ #pieces = [];

  /**
   * @param {Rectangle} cells
   * @param {Rectangle} rectangle
   * @param {Uint8Array} whole the bytes of the picture's stream that its own starts from
   */
  constructor(cells, rectangle, whole) {
    this.rectangle = rectangle;
    this.whole = whole;
    this.region = { ...cells, size: whole.length, digest: String(new PrefixHash(whole)) };
  }

  /** The fingerprint of the model of the picture's stream; null if that has hardly begun. */
  get model() {
    if (this.whole.length < MODEL[1]) return null;
    const named = this.whole.subarray(...MODEL);
    return Array.from(named, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** All that has arrived of its own stream. */
  get bytes() {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** @param {Uint8Array} piece */
  take(piece) {
    this.#pieces.push(piece);
    this.length += piece.length;
    this.picture?.feed(piece);
  }

  /** Drop all that has arrived. */
  restart() {
    this.#pieces = [];
    this.length = 0;
    this.shown = null;
  }

  /** Release the picture in the worker; what was rendered stays. */
  rest() {
    this.picture?.close();
    this.picture = null;
  }

  /**
   * Tell whether it shows its place better than a rendered picture of the whole does.
   *
   * @param {Shown} whole
   */
  betterThan({ width, height, bpp, predictedPsnr }) {
    if (!this.shown) return false;
    const spent = (8 * this.whole.length) / (width * height) + this.shown.bpp;
    return spent > bpp || this.shown.predictedPsnr > predictedPsnr;
  }
}

/** @param {Rectangle} one @param {Rectangle} other */
function same(one, other) {
  return (
    one.left === other.left &&
    one.top === other.top &&
    one.width === other.width &&
    one.height === other.height
  );
}

/**
 * Put the pixels of a region in their place.
 *
 * @param {Uint8ClampedArray} whole RGBA
 * @param {number} stride pixels of a row of it
 * @param {Rectangle} rectangle
 * @param {Uint8ClampedArray} part RGBA
 */
function layOver(whole, stride, { left, top, width, height }, part) {
  for (let row = 0; row < height; row++) {
    const from = 4 * row * width;
    whole.set(part.subarray(from, from + 4 * width), 4 * ((top + row) * stride + left));
  }
}
