/**
 * A stream that is being received, over one link after another.
 *
 * @module
 */

import { PeerError } from "./errors.js";
import { Pieces } from "./pieces.js";
import { Code, encode } from "./session/messages.js";
import { PrefixHash } from "./session/prefix.js";

/** The first bytes of every stream, and the place of the model's fingerprint in its header. */
const MAGIC = [0x44, 0x46, 0x43];
const MODEL = [4, 8];

/**
 * The target of a stream, and the weight of a gain in its quality beside other streams (1 by
 * default).
 *
 * @typedef {import("./session/receiver.js").Target & { weight?: number }} Wanted
 */

/**
 * How a stream ended: "complete", "target" or "stopped", and how many of its bytes are here.
 *
 * @typedef {{ reason: import("./session/messages.js").Reason, length: number }} Ended
 */

/**
 * A stream that is being received: iterate over its bytes, in pieces, as they arrive.
 *
 * The bytes follow those held, in order, without gaps and each once, also when links break
 * meanwhile.  Leaving the loop stops the stream.
 */
export class Delivery {
  /** @type {Pieces<Ended>} */
  #pieces = new Pieces(() => this.stop());
  /** Settles at the end of the stream; rejects with the error that the loop throws, too. */
  ended = this.#pieces.ended;
  image;
  /** How many bytes of the stream are here, those held at the start included. */
  length;
  #stopping = false;
  #wanted;
  #hash;
  #start;
  #model;
  #region;
  #backoff;
  #clock;
  #finished;
  /** @type {import("./link.js").Link | null} */
  #link = null;
  /** @type {number | null} */
  #stream = null;
  #updates = 0;
  /** @type {(() => void) | null} */
  #callOff = null;

  /**
   * @param {string} image
   * @param {object} options
   * @param {Wanted} options.wanted
   * @param {Uint8Array} options.held the first bytes of the stream, which are here already
   * @param {string | null} options.model fingerprint of the model to ask for if no bytes name one
   * @param {import("./session/region.js").Region | null} options.region the part of the picture
   * @param {import("./backoff.js").Backoff} options.backoff
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => void} options.finished called when it has ended
   */
  constructor(image, { wanted, held, model, region, backoff, clock, finished }) {
    this.image = image;
    this.length = held.length;
    this.#wanted = wanted;
    this.#hash = new PrefixHash(held);
    this.#start = Uint8Array.from(held.subarray(0, MODEL[1]));
    this.#model = model;
    this.#region = region;
    this.#backoff = backoff;
    this.#clock = clock;
    this.#finished = finished;
  }

  [Symbol.asyncIterator]() {
    return this.#pieces[Symbol.asyncIterator]();
  }

  /**
   * Change the stream's target and its weight beside other streams, from now on.
   *
   * This replaces the whole target that it was opened with.  After the end of the stream it has no
   * effect: open it again, with the bytes held.  Throws LocalProtocolError for numbers out of
   * range.
   *
   * @param {Wanted} wanted
   */
  update(wanted) {
    // Check it now, not only once there is a link again.
    encode({ type: "UPDATE", stream: 1, ...wanted });
    if (this.#pieces.over || this.#stopping) return;
    if (this.#link && this.#stream !== null) {
      this.#link.update(this.#stream, asked(wanted));
      this.#updates += 1;
    }
    this.#wanted = wanted;
  }

  /** Stop the stream.  Bytes in flight still arrive, at most one window. */
  stop() {
    if (this.#pieces.over || this.#stopping) return;
    this.#stopping = true;
    if (this.#link && this.#stream !== null) this.#link.stop(this.#stream);
    else this.#finish("stopped");
  }

  /**
   * For the sender: ask for the rest of the stream over `link`.
   *
   * @param {import("./link.js").Link} link
   */
  begin(link) {
    this.#link = link;
    if (this.#pieces.over || this.#callOff) return;
    if (this.#region && !link.regions) {
      // Before WELCOME nobody knows.
      if (link.met) this.abandon(new PeerError(Code.UNSUPPORTED, "the sender knows no regions"));
      return;
    }
    const { length } = this;
    this.#updates = 0;
    this.#stream = link.open(
      this.image,
      {
        start: length,
        prefix: length ? String(this.#hash) : null,
        ...asked(this.#wanted),
        model: modelOf(this.#start) ?? this.#model,
        region: this.#region,
      },
      {
        take: (payload) => this.#take(payload),
        end: (end) => this.#end(end),
        fail: (error) => this.#fail(error),
      },
    );
  }

  /**
   * For the sender: WELCOME has arrived over `link`.
   *
   * @param {import("./link.js").Link} link
   */
  meet(link) {
    if (this.#region && this.#stream === null) this.begin(link);
  }

  /** For the sender: the link is lost. */
  interrupt() {
    this.#link = this.#stream = null;
    if (this.#stopping) this.#finish("stopped");
  }

  /**
   * For the sender: end the stream with `error`.
   *
   * @param {Error} error
   */
  abandon(error) {
    if (this.#pieces.over) return;
    this.#leave();
    this.#pieces.fail(error);
    this.#finished();
  }

  /** @param {Uint8Array} payload */
  #take(payload) {
    this.length += payload.length;
    this.#hash.update(payload);
    if (this.#start.length < MODEL[1]) {
      const more = payload.subarray(0, MODEL[1] - this.#start.length);
      this.#start = Uint8Array.of(...this.#start, ...more);
    }
    this.#backoff.progress();
    this.#pieces.push(payload.slice());
  }

  /** @param {import("./session/messages.js").End} end */
  #end(end) {
    this.#stream = null;
    const heard = end.updates === this.#updates;
    if (end.reason === "target" && !heard && !this.#stopping) this.#again();
    else this.#finish(end.reason);
  }

  /** @param {import("./errors.js").PeerError} error */
  #fail(error) {
    this.#stream = null;
    if (this.#stopping) this.#finish("stopped");
    else if (!error.retry) this.abandon(error);
    else
      try {
        const delay = this.#backoff.pause(error, this.#clock.now());
        this.#callOff = this.#clock.after(delay, () => {
          this.#callOff = null;
          this.#again();
        });
      } catch {
        this.abandon(error);
      }
  }

  #again() {
    // Without a link, the next one will send it.
    if (this.#link?.ready) this.begin(this.#link);
  }

  /** @param {import("./session/messages.js").Reason} reason */
  #finish(reason) {
    if (this.#pieces.over) return;
    this.#leave();
    this.#pieces.end({ reason, length: this.length });
    this.#finished();
  }

  /** Have no link, and wait for none. */
  #leave() {
    this.#callOff?.();
    this.#callOff = this.#link = this.#stream = null;
  }
}

/** @param {Wanted} wanted */
function asked({ weight, ...target }) {
  return { target, weight: weight ?? 1 };
}

/**
 * Return the fingerprint of the model that a stream names, or null.
 *
 * @param {Uint8Array} start
 */
function modelOf(start) {
  if (start.length < MODEL[1] || MAGIC.some((byte, i) => start[i] !== byte)) return null;
  const digits = Array.from(start.subarray(...MODEL), (byte) => byte.toString(16).padStart(2, "0"));
  return digits.join("");
}
