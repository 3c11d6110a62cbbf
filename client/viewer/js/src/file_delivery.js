/**
 * A stream that is a file of a web server, received range by range.
 *
 * @module
 */

import { Curve } from "./codec/curve.js";
import { DiffcError, LinkLost, PeerError, RemoteProtocolError } from "./errors.js";
import { host, plain } from "./exchange.js";
import { Pieces } from "./pieces.js";
import { Code, MAX_STREAM } from "./session/messages.js";

/** Bytes of the first request: enough for a first picture. */
const FIRST_RANGE = 1024;
const MOST_RANGE = 65_536;
/** Bytes already held that the first request repeats, to see that they are of the same stream. */
const OVERLAP = 64;
const MAGIC = [0x44, 0x46, 0x43];
const CONTENT_RANGE = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/;

/** @typedef {import("./delivery.js").Wanted} Wanted */
/** @typedef {import("./delivery.js").Ended} Ended */

/**
 * A stream that is being received, with the interface of Delivery.
 *
 * Each request asks for twice as many bytes as the one before, and for no more than the target
 * needs.  A server without ranges sends all from the start: what is held is skipped.
 *
 * The first request repeats the last bytes held.  If they have changed, the delivery fails with
 * PeerError, "prefix-mismatch".  Later ones need not do so: a published file has its hash in its
 * name, so that another stream is another file.
 */
export class FileDelivery {
  /** @type {Pieces<Ended>} */
  #pieces = new Pieces(() => this.stop());
  /** Settles at the end; rejects with the error that the loop throws, too. */
  ended = this.#pieces.ended;
  image;
  /** How many bytes of the stream are here, those held at the start included. */
  length;
  #stopping = new AbortController();
  #wanted;
  #requests;
  #curve = new Curve();
  /** How many bytes the curve has seen, those beyond the target too. */
  #seen;
  /** The last bytes held, until the server has sent the same. @type {Uint8Array} */
  #tail;
  #size = FIRST_RANGE;
  /** Length of the whole stream; null while it is not known. @type {number | null} */
  #total = null;

  /**
   * @param {string} image
   * @param {object} options
   * @param {Wanted} options.wanted
   * @param {Uint8Array} options.held the first bytes of the stream, which are here already
   * @param {() => Promise<URL>} options.locate returns where the stream is
   * @param {import("./requests.js").Requests} options.requests
   * @param {() => void} options.finished called when it has ended
   */
  constructor(image, { wanted, held, locate, requests, finished }) {
    this.image = image;
    this.length = held.length;
    this.#wanted = wanted;
    this.#requests = requests;
    this.#curve.feed(held);
    this.#seen = held.length;
    this.#tail = Uint8Array.from(held.subarray(-OVERLAP));
    void this.#run(locate).finally(finished);
  }

  [Symbol.asyncIterator]() {
    return this.#pieces[Symbol.asyncIterator]();
  }

  /**
   * Change the stream's target, from now on; weights have no meaning here.
   *
   * @param {Wanted} wanted
   */
  update(wanted) {
    this.#wanted = wanted;
  }

  /** Stop the stream. */
  stop() {
    this.#stopping.abort();
  }

  /** @param {() => Promise<URL>} locate */
  async #run(locate) {
    try {
      const url = await locate();
      while (!this.#reason) await this.#ask(url);
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        this.#pieces.fail(error instanceof Error ? error : new DiffcError(String(error)));
        return;
      }
    }
    this.#pieces.end({ reason: this.#reason ?? "stopped", length: this.length });
  }

  /** Where the stream should end, as far as its bytes so far tell. */
  get #end() {
    const { bytes, bpp, side, psnr } = this.#wanted;
    const { size } = this.#curve;
    const ends = [MAX_STREAM, bytes ?? MAX_STREAM];
    if (bpp != null && size) ends.push(Math.floor((bpp * size.width * size.height) / 8));
    if (side != null) ends.push(this.#curve.opening(side) ?? MAX_STREAM);
    if (psnr != null) ends.push(this.#curve.reaching(psnr) ?? MAX_STREAM);
    return Math.min(...ends);
  }

  /** @returns {import("./session/messages.js").Reason | null} */
  get #reason() {
    if (this.#stopping.signal.aborted) return "stopped";
    const proven = !this.#tail.length;
    if (proven && this.#total !== null && this.length >= this.#total) return "complete";
    return this.length >= this.#end ? "target" : null;
  }

  /** The offset at which the next request begins. */
  get #first() {
    return this.length - this.#tail.length;
  }

  /** @param {URL} url */
  async #ask(url) {
    /** The offset of the answer's next byte. */
    let place = 0;
    /** The offset at which the answer ends; null if it does not say. @type {number | null} */
    let last = null;
    const before = this.length;
    const proven = !this.#tail.length;
    await this.#requests.get(url, {
      headers: () => {
        const end = Math.min(this.length + this.#size, this.#end);
        return { Range: `bytes=${this.#first}-${end - 1}` };
      },
      signal: this.#stopping.signal,
      accepted: [416],
      head: (answer) => {
        if (answer.status === 416) {
          if (this.#tail.length) throw this.#mismatch();
          // It ends where this begins.
          this.#total = this.length;
          last = place = this.length;
        } else if (answer.status === 206) {
          [place, last] = this.#part(url, answer);
        } else [place, last] = [0, null];
      },
      take: (piece) => {
        if (this.#total !== null && place >= this.#total) return true;
        this.#compare(url, place, piece);
        const fresh = piece.subarray(Math.max(0, this.length - place));
        place += piece.length;
        if (place > this.length) this.#take(fresh);
        return this.#reason !== null;
      },
      done: () => {
        if (last !== null && place < last)
          throw new LinkLost(`${host(url)} sent less than it said`);
        if (this.#tail.length) throw this.#mismatch();
        if (last === null || (proven && place <= before)) this.#total = this.length;
      },
    });
    this.#size = Math.min(2 * this.#size, MOST_RANGE);
  }

  /**
   * Return the range of bytes that an answer holds.
   *
   * @param {URL} url
   * @param {Response} answer
   */
  #part(url, answer) {
    const match = CONTENT_RANGE.exec(answer.headers.get("Content-Range") ?? "");
    if (!match || Number(match[1]) !== this.#first)
      throw new RemoteProtocolError(`${host(url)} does not know ranges: it sends other bytes`);
    if (match[3] !== "*") this.#total = Number(match[3]);
    if (this.#tail.length && this.#total !== null && this.#total < this.length)
      throw this.#mismatch();
    return [Number(match[1]), Number(match[2]) + 1];
  }

  /**
   * Throw if the bytes of an answer are of no stream, or of another one than those held.
   *
   * @param {URL} url
   * @param {number} place the offset of the first of them
   * @param {Uint8Array} piece
   */
  #compare(url, place, piece) {
    const begins = place < MAGIC.length ? piece.subarray(0, MAGIC.length - place) : [];
    // A network on the way may answer in the server's place: that proves nothing about what is held.
    if (begins.some((byte, i) => byte !== MAGIC[place + i]))
      throw new RemoteProtocolError(`what ${host(url)} sends is no stream`);
    const end = place + piece.length;
    const [from, to] = [Math.max(place, this.#first), Math.min(end, this.length)];
    for (let at = from; at < to; at++)
      if (piece[at - place] !== this.#tail[at - this.#first]) throw this.#mismatch();
    if (end >= this.length) this.#tail = new Uint8Array();
  }

  #mismatch() {
    return plain(
      new PeerError(Code.PREFIX_MISMATCH, ""),
      `the first ${this.length} bytes of ${this.image} are not as held: start again without them`,
    );
  }

  /** @param {Uint8Array} fresh */
  #take(fresh) {
    this.#curve.feed(fresh.subarray(this.#seen - this.length));
    this.#seen = Math.max(this.#seen, this.length + fresh.length);
    const piece = fresh.slice(0, Math.max(0, this.#end - this.length));
    if (!piece.length) return;
    this.length += piece.length;
    this.#pieces.push(piece);
  }
}
