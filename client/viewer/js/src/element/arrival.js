/**
 * What has arrived of a picture, and the picture of it: it receives, and shows ever more.
 *
 * @module
 */

import { Renderings } from "../clips/renderings.js";
import { Curve } from "../codec/curve.js";
import { CorruptStream, NothingDecodable, StreamError, Superseded } from "../errors.js";
import { MAX_STREAM } from "../session/messages.js";

/** @typedef {import("../clips/pictures.js").Frame} Frame */
/** @typedef {import("../pictures.js").Shown} Shown */
/** @typedef {import("./stream.js").Source} Source */

/** A shown picture has at most so many times the bytes of the one before. */
const STRIDE = 4;

/**
 * What is wanted of it: a prefix, null being all of it, and the realism dial from 0 to 1.
 *
 * @typedef {{ bytes: number | null, realism: number }} Wanted
 */

/**
 * @typedef {object} Told what it tells its element
 * @property {(width: number, height: number) => void} onsize
 * @property {(shown: Shown) => void} onshown a picture, which may be followed by better ones
 * @property {(frame: Frame) => void} onframe pictures of a clip, likewise
 * @property {() => void} onend all that is wanted is shown
 * @property {(error: Error) => void} onerror
 */

/** A picture that arrives, until close(). */
export class Arrival {
  #source;
  #decoding;
  #told;
  /** @type {Wanted} */
  #wanted;
  /** @type {Uint8Array[]} */
  #pieces = [];
  #length = 0;
  #curve = new Curve();
  /** @type {ReturnType<import("../decoding.js").Decoding["picture"]> | null} */
  #picture = null;
  /** If it is a clip, and how many bytes that has. @type {import("../clips/clip.js").Clip | null} */
  #clip = null;
  #fed = 0;
  #renderings = new Renderings({
    onframe: (frame) => {
      this.#shown = { bytes: frame.bytes, realism: 0 };
      this.#told.onframe(frame);
    },
    onidle: () => this.#paint(),
    onerror: (error) => this.#fail(error),
  });
  /** Ends the present download; null if there is none. @type {AbortController | null} */
  #receiving = null;
  #painting = false;
  /** The last picture that was shown, and how. @type {{ bytes: number, realism: number } | null} */
  #shown = null;
  /** Whether all that is wanted was shown, or failed. */
  #ended = false;
  /** Whether bytes that have arrived are useless. */
  #damaged = false;
  #closed = false;

  /**
   * @param {Source} source
   * @param {import("../decoding.js").Decoding} decoding
   * @param {Wanted} wanted
   * @param {Told} told
   */
  constructor(source, decoding, wanted, told) {
    this.#source = source;
    this.#decoding = decoding;
    this.#wanted = wanted;
    this.#told = told;
    void this.#receive();
  }

  /** Want something else of the same picture.  @param {Wanted} wanted */
  want(wanted) {
    const { bytes } = this.#wanted;
    this.#wanted = wanted;
    this.#ended = false;
    if (this.#clip) this.#feed();
    if (wanted.bytes === bytes) this.#paint();
    else void this.#receive();
  }

  /** Try again after an error; bytes that have arrived and are good are not asked for again. */
  again() {
    if (this.#damaged) this.#restart();
    else if (this.#clip) this.#begin();
    this.#ended = false;
    void this.#receive();
  }

  /** Stop receiving and showing it. */
  close() {
    this.#closed = true;
    this.#receiving?.abort();
    this.#picture?.close();
    this.#drop();
  }

  async #receive() {
    this.#receiving?.abort();
    const receiving = (this.#receiving = new AbortController());
    const { signal } = receiving;
    const end = this.#wanted.bytes;
    try {
      if (end === null || this.#length < end) {
        for await (const { at, data } of this.#source.read(this.#bytes(), end, signal)) {
          if (signal.aborted) return;
          if (at === 0 && this.#length) this.#restart();
          if (data.length) this.#take(data);
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
    if (signal.aborted) return;
    this.#receiving = null;
    // What has arrived is shown, whatever came after it.
    this.#paint();
  }

  /** @param {Uint8Array} data */
  #take(data) {
    if (this.#length + data.length > MAX_STREAM) {
      throw new CorruptStream("more bytes than any stream has", MAX_STREAM);
    }
    const known = this.#curve.size !== null;
    this.#pieces.push(data);
    this.#length += data.length;
    this.#curve.feed(data);
    const { size, clip } = this.#curve;
    if (clip) {
      this.#feed();
    } else {
      this.#picture ??= this.#decoding.picture({ reference: this.#source.reference });
      this.#picture.feed(data);
    }
    if (size && !known) this.#told.onsize(size.width, size.height);
    this.#paint();
  }

  /** Let the clip have what is wanted of it. */
  #feed() {
    const end = this.#available;
    if (!this.#clip || end < this.#fed) {
      this.#begin();
    } else if (end > this.#fed) {
      this.#clip.feed(this.#bytes().subarray(this.#fed, end));
      this.#fed = end;
      this.#renderings.more();
    }
  }

  /** Decode the clip from its beginning. */
  #begin() {
    this.#picture?.close();
    this.#picture = null;
    this.#drop();
    this.#clip = this.#decoding.clip();
    this.#fed = this.#available;
    this.#clip.feed(this.#bytes().subarray(0, this.#fed));
    this.#renderings.follow(this.#clip);
  }

  #drop() {
    this.#renderings.follow(null);
    this.#clip?.close();
    this.#clip = null;
    this.#fed = 0;
  }

  /** Drop all that has arrived, because the picture was replaced. */
  #restart() {
    this.#picture?.close();
    this.#picture = null;
    this.#drop();
    this.#pieces = [];
    this.#length = 0;
    this.#curve = new Curve();
    this.#shown = null;
    this.#damaged = false;
  }

  #bytes() {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.#pieces = this.#length ? [whole] : [];
    return whole;
  }

  /** The prefix to show next: if bytes arrive faster than they are decoded, not yet all of them. */
  get #next() {
    const least = this.#curve.first ?? (this.#receiving ? Infinity : this.#length);
    if (this.#length < least) return 0;
    const most = this.#shown ? Math.max(least, STRIDE * this.#shown.bytes) : least;
    return Math.min(this.#available, most);
  }

  /** Bytes that are here of those wanted. */
  get #available() {
    return Math.min(this.#length, this.#wanted.bytes ?? Infinity);
  }

  /** Show what is wanted, as far as it has arrived, until nothing is left to show. */
  async #paint() {
    if (this.#painting) return;
    this.#painting = true;
    // Without a picture it is a clip, whose pictures come by themselves.
    while (!this.#closed) {
      const bytes = this.#next;
      // What is soon replaced is computed the cheapest way.
      const last = !this.#receiving && bytes === this.#available;
      const realism = last ? this.#wanted.realism : 0;
      const picture = this.#picture;
      if (bytes === this.#shown?.bytes && realism === this.#shown.realism) break;
      if (!bytes || !picture) break;
      try {
        const shown = await picture.render({ bytes, method: realism });
        if (this.#closed) break;
        if (picture !== this.#picture) continue;
        this.#shown = { bytes, realism };
        this.#told.onshown(shown);
      } catch (error) {
        if (this.#closed || (error instanceof Superseded && picture !== this.#picture)) continue;
        this.#fail(error);
        break;
      }
    }
    this.#painting = false;
    const over = this.#renderings.computing === null;
    if (over && !this.#closed && !this.#receiving && !this.#ended) this.#end();
  }

  #end() {
    if (!this.#shown) {
      this.#fail(new NothingDecodable("too few bytes for a picture"));
      return;
    }
    this.#ended = true;
    this.#told.onend();
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#ended = true;
    this.#damaged ||= error instanceof StreamError;
    this.#receiving?.abort();
    this.#receiving = null;
    this.#told.onerror(error instanceof Error ? error : new Error(String(error)));
  }
}
