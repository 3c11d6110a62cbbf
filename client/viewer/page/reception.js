/**
 * The part of a picture that has arrived, and its target.
 *
 * @module
 */

import { Curve, PeerError, Regions, Sender } from "diffc-client";

/** A shown picture has at most so many times the bytes of the one before. */
const STRIDE = 4;
/** Of a clip, the quality is kept of prefixes that differ by this factor. */
const APART = 1.05;

/** @typedef {{ bytes?: number, bpp?: number, side?: number, psnr?: number }} Target */
/**
 * Where streams come from: a sender, or a folder of files.
 *
 * @typedef {import("diffc-client").Sender | import("diffc-client").PublishedFolder} Source
 */
/** @typedef {ReturnType<import("diffc-client").Decoding["picture"]>} Picture */
/** @typedef {"idle" | "receiving" | "target" | "stopped" | "complete" | "failed"} State */

/**
 * One picture of the sender.  It keeps all bytes that have arrived, however often it is stopped and
 * asked for again.  It dispatches "change" when more has arrived or its state has changed, and
 * "renew" when the sender has replaced the picture, so that nothing of the new one is here yet.
 */
export class Reception extends EventTarget {
  /** @type {Source} */ #sender;
  /** @type {import("diffc-client").Decoding} */ #decoding;
  /** @type {Picture | import("diffc-client").Clip | null} */ #picture = null;
  /** @type {ReturnType<Source["open"]> | null} */ #delivery = null;
  #here;
  /** @type {Regions | null} */ #regions = null;
  /** @type {Uint8Array[]} */ #pieces = [];
  /** @type {{ target: Target, weight: number } | null} */ #wanted = null;
  /** Whether the sender was asked to stop, and has not done so yet. */
  #stopping = false;
  /** What goes on when a region is there. @type {{ target: Target, weight: number } | null} */
  #waiting = null;
  /** Whether bytes that still arrive are of a picture that has been replaced. */
  #stale = false;

  /**
   * @param {string} name
   * @param {Source} sender
   * @param {import("diffc-client").Decoding} decoding
   * @param {(name: string) => Uint8Array | undefined} here what has arrived of another picture
   */
  constructor(name, sender, decoding, here) {
    super();
    this.name = name;
    this.#sender = sender;
    this.#decoding = decoding;
    this.#here = here;
    /** Bytes that have arrived. */
    this.length = 0;
    this.curve = new Curve();
    /** @type {State} */
    this.state = "idle";
    /** @type {Error | null} */
    this.error = null;
    /** When it was first asked for, and when its first bytes arrived, by `performance.now()`. */
    this.asked = 0;
    this.began = 0;
    /** The predicted PSNR of the longest prefix so far, in dB. */
    this.told = { bytes: 0, psnr: 0 };
    /** Of a clip, what was told: nothing else says its quality. @type {[number, number][]} */
    this.track = [];
  }

  /** Where a small picture of it is; null if there is none. @returns {URL | null} */
  get thumbnail() {
    return "thumbnail" in this.#sender ? this.#sender.thumbnail(this.name) : null;
  }

  /** Whether parts of it may be asked for, as far as that is known. */
  get divisible() {
    // Of a stream that is served as it is there is no picture to encode a part of.
    return this.#sender instanceof Sender && this.#sender.regions && !/\.dfc$/i.test(this.name);
  }

  /** What has been asked for of its parts; null if there are none of a folder's pictures. */
  get regions() {
    if (!this.#regions && this.#sender instanceof Sender) {
      const reference = this.#sender.references(this.name, this.#here);
      const regions = new Regions(this.name, this.#sender, this.#decoding, reference);
      regions.addEventListener("change", () => {
        if (regions.newest?.state !== "receiving") this.#resume();
      });
      this.#regions = regions;
    }
    return this.#regions;
  }

  /** All that has arrived. */
  get bytes() {
    return this.#bytes();
  }

  /** Its number of pixels, of a clip those of all its pictures; 0 while it is not known. */
  get pixels() {
    const { size, clip } = this.curve;
    return size ? size.width * size.height * (clip?.pictures ?? 1) : 0;
  }

  /** The picture, or the clip, in the worker, which renders it. */
  get picture() {
    if (!this.#picture) {
      const reference = this.#sender.references(this.name, this.#here);
      this.#picture = this.curve.clip
        ? this.#decoding.clip()
        : this.#decoding.picture({ reference });
      if (this.length) this.#picture.feed(this.#bytes());
    }
    return this.#picture;
  }

  /** Return a clip in the worker that has the first `bytes` of this one. @param {number} bytes */
  beginning(bytes) {
    const clip = this.#decoding.clip();
    clip.feed(this.#bytes().subarray(0, bytes));
    return clip;
  }

  /** Offsets, and the expected quality at each, in dB, never less than before; first the header's end. */
  get quality() {
    const { offsets } = this.curve;
    const psnr = this.curve.psnr();
    if (!this.curve.clip) return { offsets, psnr };
    let best = Math.min(psnr[0], ...this.track.map(([, value]) => value));
    const rising = this.track.map(([, value]) => (best = Math.max(best, value)));
    return {
      offsets: [...offsets, ...this.track.map(([offset]) => offset)],
      psnr: [Math.min(psnr[0], rising[0] ?? psnr[0]), ...rising],
    };
  }

  /** Return bytes as bits per pixel; 0 while its size is not known. @param {number} bytes */
  bpp(bytes) {
    return this.pixels ? (8 * bytes) / this.pixels : 0;
  }

  /**
   * Return the expected quality of a prefix, in dB, from the steps around it.
   *
   * @param {number} bytes
   * @returns {number}
   */
  psnr(bytes) {
    const { quality } = this;
    const [offsets, psnr] = [[...quality.offsets], [...quality.psnr]];
    if (this.told.bytes > (offsets.at(-1) ?? Infinity)) {
      offsets.push(this.told.bytes);
      psnr.push(Math.max(this.told.psnr, psnr[psnr.length - 1]));
    }
    // The first offset is the header's end, where most streams have no picture yet.
    const first = Number(this.curve.first !== offsets[0]);
    const after = offsets.findIndex((offset, place) => place >= first && offset >= bytes);
    if (after < 0) return offsets.length > first ? psnr[psnr.length - 1] : 0;
    if (after === first) return psnr[first];
    const share = (bytes - offsets[after - 1]) / (offsets[after] - offsets[after - 1]);
    return psnr[after - 1] + share * (psnr[after] - psnr[after - 1]);
  }

  /**
   * Set its target and its weight beside other pictures, from now on.
   *
   * @param {Target} target
   * @param {number} [weight]
   */
  want(target, weight = 1) {
    this.#wanted = { target, weight };
    this.#waiting = null;
    this.asked ||= performance.now();
    if (!this.#delivery) this.#receive();
    else if (!this.#stopping) this.#delivery.update({ ...target, weight });
  }

  /**
   * Return the prefix to show after one of so many bytes; 0 is after none.
   *
   * If bytes arrive faster than they can be decoded, it is not all that has arrived: early pictures
   * cost little, and can be seen while the next one is computed.
   *
   * @param {number} shown
   */
  next(shown) {
    return Math.min(this.length, shown ? STRIDE * shown : (this.curve.first ?? this.length));
  }

  /** Note that a picture of it was shown. @param {number} bytes @param {number} psnr */
  tell(bytes, psnr) {
    if (bytes < this.told.bytes || bytes > this.length) return;
    this.told = { bytes, psnr };
    if (!this.curve.clip) return;
    const [before] = this.track.at(-2) ?? [0];
    // The last point is the newest, until it is far enough from the one before.
    if (this.track.length && (this.track.at(-1)?.[0] ?? 0) < before * APART) this.track.pop();
    if (this.track.at(-1)?.[0] === bytes) this.track.pop();
    this.track.push([bytes, psnr]);
  }

  /**
   * Receive a region first, and the rest when that is there.
   *
   * @param {import("./selection.js").Rectangle} rectangle
   * @param {{ width: number, height: number }} size that of the picture
   * @param {number} method the realism dial
   */
  sharpen(rectangle, size, method) {
    const { regions } = this;
    if (!regions) return;
    const waiting = this.#waiting ?? this.#wanted;
    this.stop();
    this.#waiting = waiting;
    regions.method = method;
    regions.sharpen(rectangle, this.bytes, size);
  }

  /** Go on with all of it; what a region has brought stays. */
  spread() {
    this.#regions?.stop();
    this.#resume();
  }

  /** Stop receiving it for now. */
  stop() {
    this.#wanted = this.#waiting = null;
    if (this.#delivery && !this.#stopping) {
      this.#stopping = true;
      this.#delivery.stop();
    }
  }

  /** Drop all bytes, because the sender has replaced the picture. */
  renew() {
    if (!this.length && !this.#delivery && this.state === "idle") {
      if (this.thumbnail) this.dispatchEvent(new Event("renew"));
      return;
    }
    this.#stale = this.#delivery !== null;
    if (this.#delivery && !this.#stopping) {
      this.#stopping = true;
      this.#delivery.stop();
    }
    this.#reset();
  }

  /** Release the picture in the worker; bytes that have arrived stay. */
  rest() {
    this.#picture?.close();
    this.#picture = null;
  }

  #resume() {
    if (this.#waiting) this.want(this.#waiting.target, this.#waiting.weight);
  }

  async #receive() {
    while (this.#wanted) {
      const { target, weight } = this.#wanted;
      try {
        this.#change("receiving", null);
        this.#delivery = this.#sender.open(this.name, {
          ...target,
          weight,
          held: this.#bytes(),
        });
        for await (const piece of this.#delivery) this.#take(piece);
        const { reason } = await this.#delivery.ended;
        // It was asked for again while it was being stopped: go on.
        if (!(this.#stopping && this.#wanted)) this.#wanted = null;
        if (!this.#wanted) this.#change(reason === "draining" ? "stopped" : reason, null);
      } catch (error) {
        if (this.#stale) continue;
        if (this.length && error instanceof PeerError && error.code === "prefix-mismatch") {
          this.#reset();
          continue;
        }
        this.#wanted = null;
        this.#change("failed", error instanceof Error ? error : new Error(String(error)));
      } finally {
        this.#delivery = null;
        this.#stopping = this.#stale = false;
      }
    }
  }

  /** @param {Uint8Array} piece */
  #take(piece) {
    if (this.#stale) return;
    this.began ||= performance.now();
    this.#pieces.push(piece);
    this.length += piece.length;
    const known = this.curve.clip;
    this.curve.feed(piece);
    if (this.curve.clip && !known) this.#become();
    else this.#picture?.feed(piece);
    this.dispatchEvent(new Event("change"));
  }

  /** Decode it as a clip from now on: it was taken for a picture before its header was here. */
  #become() {
    if (!this.#picture) return;
    const { priority } = this.#picture;
    this.rest();
    this.picture.priority = priority;
  }

  #reset() {
    this.rest();
    this.#regions?.clear();
    this.#pieces = [];
    this.length = 0;
    this.curve = new Curve();
    this.told = { bytes: 0, psnr: 0 };
    this.track = [];
    this.began = 0;
    this.state = "idle";
    this.error = null;
    this.dispatchEvent(new Event("renew"));
  }

  #bytes() {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.#pieces = this.length ? [whole] : [];
    return whole.slice();
  }

  /** @param {State} state @param {Error | null} error */
  #change(state, error) {
    this.state = state;
    this.error = error;
    this.dispatchEvent(new Event("change"));
  }
}
