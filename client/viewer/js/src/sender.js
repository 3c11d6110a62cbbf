/**
 * A connection to a sender that is made again when it breaks.
 *
 *     const sender = connect("ws://localhost:8765", { models: ["6c137b2c"] });
 *     for (const { name } of await sender.catalogue()) ...
 *     const delivery = sender.open("coffee.jpg", { psnr: 30 });
 *     for await (const piece of delivery) picture.feed(piece);
 *
 * Bytes that have arrived before a link broke are not asked for again.
 *
 * @module
 */

import { Backoff } from "./backoff.js";
import { CLOCK } from "./clock.js";
import { Delivery } from "./delivery.js";
import {
  AddressError,
  LinkLost,
  LocalProtocolError,
  PeerError,
  RemoteProtocolError,
} from "./errors.js";
import { Link } from "./link.js";
import { Listing } from "./listing.js";
import { Meter } from "./meter.js";
import { Reconnection } from "./reconnection.js";
import { ofSender } from "./references.js";
import { encode } from "./session/messages.js";
import { ReceiverSession, TERMS } from "./session/receiver.js";

/** @typedef {import("./session/messages.js").Entry} Entry */

/** Seconds after which a sender that does not send changes is asked for its catalogue again. */
const ASK_AGAIN = 10;
const TOKEN = /^[0-9A-Za-z._~-]{1,256}$/;
const LOOPBACK = /^(localhost|.*\.localhost|127\.[0-9.]+|\[::1\])$/;

/**
 * "connecting": a connection is being opened; "connected": the sender has answered; "waiting": the
 * next attempt is due later; "closed": there will be none.
 *
 * @typedef {"connecting" | "connected" | "waiting" | "closed"} Status
 */

/**
 * @typedef {object} Options
 * @property {Iterable<string>} [models] fingerprints of the models that this side can decode with;
 *   none accepts streams of any model
 * @property {boolean} [references] whether streams may start from other pictures, which references()
 *   finds; without it senders leave that out
 * @property {(status: Status, error?: Error) => void} [onStatus]
 * @property {Partial<import("./session/receiver.js").Terms>} [terms] a larger window than 8,192
 *   bytes, for links with a high rate and a long delay; the seconds of silence after which a link
 *   counts as lost
 * @property {number | null} [patience] seconds without any progress after which to give up; null is
 *   never
 * @property {string | null} [token] if the sender requires one: over wss://, or to this machine
 * @property {import("./socket.js").SocketType} [WebSocket] by default the browser's
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [draw] random numbers from 0 to 1, for the waits before new attempts
 */

/**
 * Stay connected to the sender at `url`, ws://HOST[:PORT] or wss://, until close().
 *
 * Throws AddressError if `url` is not an address, or the token would travel unencrypted, and
 * LocalProtocolError for invalid terms, models or token.
 *
 * @param {string} url
 * @param {Options} [options]
 */
export function connect(url, options) {
  return new Sender(url, options);
}

/** A connection to a sender that is made again when it breaks; see connect(). */
export class Sender {
  /**
   * Called with every change of `status`, and with the error behind it, if any.
   *
   * @type {((status: Status, error?: Error) => void) | null}
   */
  onstatus;
  /** @type {Status} */
  status = "connecting";
  /**
   * The last error, until it is connected again.
   *
   * @type {Error | null}
   */
  error = null;
  #url;
  #link;
  #options;
  #clock;
  #patience;
  #draw;
  #reconnection;
  #meter = new Meter();
  #connections = 0;
  #met = false;
  /** @type {Set<Delivery>} */
  #deliveries = new Set();
  /** @type {Deferred | null} */
  #listing = null;
  /** The catalogue, for callers of follow(). @type {Listing | null} */
  #followed = null;
  /** Cancels the next request for the catalogue. */
  #leave = () => {};
  /** @type {{ roundTrip: number | null, capacity: number | null }} */
  #seen = { roundTrip: null, capacity: null };

  /**
   * @param {string} url
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    const { models = [], terms = {}, clock = CLOCK, draw = Math.random, patience = null } = options;
    const token = options.token ?? null;
    const WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.#url = address(url);
    if (!WebSocket) {
      throw new LocalProtocolError(
        "there is no WebSocket here: pass one, as that of the package ws, " +
          "or run Node 20 with --experimental-websocket",
      );
    }
    if (token !== null) checkToken(token, this.#url);
    const { references = false } = options;
    const known = { models: [...models], terms: { ...TERMS, ...terms } };
    this.#options = { ...known, references, clock, WebSocket, token };
    // Says what is wrong with them here, not when a connection is open.
    new ReceiverSession({ now: 0, ...this.#options });
    this.#clock = clock;
    this.#patience = patience;
    this.#draw = draw;
    this.#reconnection = new Reconnection(() => this.#redial(), { clock, patience, draw });
    this.onstatus = options.onStatus ?? null;
    this.#link = this.#dial();
  }

  /** Seconds until the next attempt while it is waiting for one; null otherwise. */
  get retryIn() {
    return this.#reconnection.retryIn;
  }

  /** Whether the sender has streams of regions, as far as that is known. */
  get regions() {
    return this.#link.regions;
  }

  /** Make the next attempt now. */
  retry() {
    if (this.status === "waiting") this.#reconnection.now();
  }

  /**
   * Return the catalogue, sorted by name.
   *
   * Rejects when `patience` runs out or the sender is closed, as deliveries do.
   *
   * @returns {Promise<Entry[]>}
   */
  catalogue() {
    if (this.status === "closed") return Promise.reject(this.#gone());
    if (this.#listing) return this.#listing.promise;
    if (this.#followed?.complete && this.#link.ready)
      return Promise.resolve(this.#followed.entries);
    const listing = (this.#listing = deferred());
    if (this.#link.ready && !this.#followed) this.#list();
    return listing.promise;
  }

  /**
   * Follow the catalogue: iterate over its states, one after every change, until `patience` runs
   * out or the sender is closed, which throws.
   *
   * A catalogue of several pages gives a state for each; `complete` marks the last one.  When a
   * link breaks, known pictures are kept, and only changes are asked for.
   *
   * @returns {AsyncGenerator<import("./listing.js").State, never, void>}
   */
  follow() {
    if (!this.#followed) {
      this.#followed = new Listing();
      if (this.status === "closed") this.#followed.end(this.#gone());
      else if (this.#link.ready && !this.#listing) this.#followOn();
    }
    return this.#followed.states();
  }

  /**
   * Stream a picture until `bytes` bytes or `bpp` bits per pixel of it are here, it has all the
   * detail that a longer side of `side` pixels can show, the sender predicts `psnr` dB, or it is
   * complete.
   *
   * A gain in its quality counts `weight` times as much as one in another picture of the same
   * sender.  Bytes that are `held` are not asked for again.  Throws LocalProtocolError for an
   * invalid name or number.  The delivery may fail with UnknownImage or another PeerError; the code
   * "prefix-mismatch" means that the held bytes are useless and have to be dropped.
   *
   * @param {string} name
   * With a `region` it is the stream of that part of the picture, which starts from the bytes of the
   * picture's own stream that it names; the code "unsupported" means that the sender has none.
   *
   * @param {import("./delivery.js").Wanted & { held?: Uint8Array, model?: string | null,
   *   region?: import("./session/region.js").Region | null }} [options]
   */
  open(name, { held = new Uint8Array(), model = null, region = null, ...wanted } = {}) {
    // Says what is wrong with them here, not when a connection is open.
    encode({ type: "OPEN", stream: 1, image: name, start: held.length, ...wanted, model, region });
    const delivery = new Delivery(name, {
      wanted,
      held,
      model,
      region,
      backoff: new Backoff({ patience: this.#patience, draw: this.#draw }),
      clock: this.#clock,
      finished: () => this.#deliveries.delete(delivery),
    });
    if (this.status === "closed") delivery.abandon(this.#gone());
    else {
      this.#deliveries.add(delivery);
      if (this.#link.ready) delivery.begin(this.#link);
    }
    return delivery;
  }

  /**
   * Return what finds the pictures that the stream of `name` starts from, for Decoding.picture():
   * other pictures of this sender, of which `here` tells what is here already.
   *
   * @param {string} name
   * @param {import("./references.js").Here} [here]
   */
  references(name, here) {
    return ofSender(this, name, here);
  }

  /**
   * Return counts and rates of the link.
   *
   * `received` is the number of bytes in all, `rate` that of the last seconds in bytes a second.
   * `capacity` is the best observed rate of streams, in bytes a second, and `roundTrip` the
   * round-trip time in seconds; both are null while they are unknown.  `connections` is how many
   * were made.
   */
  statistics() {
    const { roundTrip, capacity } = this.#link;
    this.#seen = {
      roundTrip: roundTrip ?? this.#seen.roundTrip,
      capacity: capacity ?? this.#seen.capacity,
    };
    const { received } = this.#meter;
    const rate = this.#meter.rate(this.#clock.now());
    return { received, rate, ...this.#seen, connections: this.#connections };
  }

  /** Close the link; deliveries that have not ended fail. */
  close() {
    if (this.status === "closed") return;
    this.#link.close();
    this.#end(null);
  }

  #dial() {
    return new Link(this.#url, this.#options, {
      opened: () => this.#opened(),
      met: () => {
        this.#met = true;
        this.error = null;
        for (const delivery of [...this.#deliveries]) delivery.meet(this.#link);
        this.#say("connected");
      },
      arrived: (bytes) => this.#meter.arrived(bytes, this.#clock.now()),
      progress: () => this.#reconnection.progress(),
      lost: (error) => this.#lost(error),
    });
  }

  #redial() {
    this.#link = this.#dial();
    this.#say("connecting", this.error ?? undefined);
  }

  #opened() {
    this.#connections += 1;
    for (const delivery of [...this.#deliveries]) delivery.begin(this.#link);
    if (this.#followed) this.#followOn();
    else if (this.#listing) this.#list();
  }

  #list() {
    this.#link.list((entries) => {
      this.#listing?.resolve(entries);
      this.#listing = null;
      if (this.#followed) this.#followOn();
    });
  }

  #followOn() {
    const [link, followed] = [this.#link, this.#followed];
    if (!followed) return;
    followed.begin();
    link.follow(followed.mark, (page) => {
      followed.take(page);
      if (!page.last) return;
      this.#listing?.resolve(followed.entries);
      this.#listing = null;
      if (link.following) return;
      this.#leave = this.#clock.after(ASK_AGAIN, () => {
        if (link.ready) this.#followOn();
      });
    });
  }

  /** @param {Error} error */
  #lost(error) {
    this.statistics();
    this.#leave();
    for (const delivery of [...this.#deliveries]) delivery.interrupt();
    // It spoke our protocol a moment ago: this message was damaged on the way.
    const passing =
      error instanceof LinkLost ||
      (error instanceof PeerError && error.retry) ||
      (error instanceof RemoteProtocolError && this.#met);
    if (!passing) {
      this.#end(error);
      return;
    }
    try {
      this.#reconnection.later(error);
    } catch {
      this.#end(error);
      return;
    }
    this.error = error;
    this.#say("waiting", error);
  }

  /** @param {Error | null} error */
  #end(error) {
    this.#leave();
    this.#reconnection.cancel();
    this.error = error;
    this.status = "closed";
    for (const delivery of [...this.#deliveries]) delivery.abandon(this.#gone());
    // Marks it as handled: its caller may be gone.
    this.#listing?.promise.catch(() => {});
    this.#listing?.reject(this.#gone());
    this.#listing = null;
    this.#followed?.end(this.#gone());
    this.onstatus?.("closed", error ?? undefined);
  }

  #gone() {
    return this.error ?? new LinkLost("the connection was closed on this side");
  }

  /**
   * @param {Status} status
   * @param {Error} [error]
   */
  #say(status, error) {
    this.status = status;
    this.onstatus?.(status, error);
  }
}

/** @param {string} url */
function address(url) {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    throw new AddressError(`${url} is not an address: it should be ws://HOST:PORT`);
  }
  if (!["ws:", "wss:"].includes(parsed.protocol))
    throw new AddressError(`${url} is not the address of a sender: it should be ws://HOST:PORT`);
  parsed.hash = "";
  return parsed.href;
}

/** @param {string} token @param {string} url */
function checkToken(token, url) {
  if (!TOKEN.test(token)) throw new LocalProtocolError("this is no token");
  const { protocol, hostname } = new URL(url);
  if (protocol === "wss:" || LOOPBACK.test(hostname)) return;
  throw new AddressError(`${url} is not encrypted, and others could read the token: say wss://`);
}

/**
 * @typedef {object} Deferred
 * @property {Promise<Entry[]>} promise
 * @property {(entries: Entry[]) => void} resolve
 * @property {(error: Error) => void} reject
 */

/** @returns {Deferred} */
function deferred() {
  /** @type {Partial<Deferred>} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return /** @type {Deferred} */ (made);
}
