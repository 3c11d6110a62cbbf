/**
 * The receiver's session: the end that asks for pictures, without the connection.
 *
 * A session takes the messages that have arrived, returns events, and holds the messages to send
 * until they are fetched.  It uses no sockets, no promises and no clock: its caller passes the time
 * in seconds.  Using one takes four calls:
 *
 *     const event = session.receive(data, now)              for every WebSocket message, in order
 *     for (const bytes of session.transmit(now)) ...        after anything was received or asked for
 *     session.handleTimeout(now)                            at session.nextTimeout(), at the latest
 *
 * Events are the messages themselves, or null for messages that the session handles by itself.
 * Payloads are bytes: a session never decodes pictures.
 *
 * @module
 */

import { LinkLost, LocalProtocolError, RemoteProtocolError } from "../errors.js";
import { oneLine } from "./fields.js";
import {
  Code,
  decode,
  encode,
  FOLLOW,
  MAX_STREAM,
  MAX_WINDOW,
  MIN_WINDOW,
  MINOR,
  MOST_CAPABILITIES,
  MOST_MODELS,
  MUST,
  peerError,
  REGION,
} from "./messages.js";
import { Pace } from "./pace.js";
import { Tracker } from "./state.js";

/** Least interval, in seconds, at which a peer may be required to show that it is alive. */
const SHORTEST_BREATH = 0.3;

/** @typedef {import("./messages.js").Message} Message */

/**
 * What a receiver offers in HELLO: the most bytes of payload in flight, and the seconds of silence
 * after which the link counts as lost.
 *
 * @typedef {{ window: number, idle: number }} Terms
 */

/** @type {Readonly<Terms>} */
export const TERMS = Object.freeze({ window: 8192, idle: 60 });

/**
 * How far a stream is wanted: up to the first of these that is reached, or to its end if none is
 * given.
 *
 * @typedef {object} Target
 * @property {number | null} [bytes] of the stream, counted from its very start
 * @property {number | null} [bpp] bits per pixel of the picture
 * @property {number | null} [side] a longer side in pixels: octaves too fine for it are not sent
 * @property {number | null} [psnr] quality in dB that is good enough, as predicted
 */

/**
 * How much of a stream has been received.
 *
 * @typedef {{ position: number, limit: number, updates: number }} Progress
 */

/** A session with one sender.  HELLO is its first message, waiting from the start. */
export class ReceiverSession {
  /**
   * The sender's WELCOME, once it has arrived.
   *
   * @type {import("./messages.js").Welcome | null}
   */
  welcome = null;
  /** Most bytes of payload that may be in flight, as HELLO and WELCOME have agreed. */
  window;
  #terms;
  #capabilities;
  #tracker = new Tracker();
  #pace;
  /** @type {Map<number, Progress>} */
  #progress = new Map();
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #outbox = [];
  #said = 0;
  #taken = 0;
  #heard;
  #spoke;
  #peerIdle;
  #listing = false;
  #following = false;
  #received = 0;
  #acknowledged = 0;

  /**
   * Start a session.
   *
   * @param {object} options
   * @param {number} options.now
   * @param {Terms} [options.terms]
   * @param {Iterable<string>} [options.models] fingerprints of the models it can decode with; HELLO
   *   has room for the first MOST_MODELS
   * @param {Iterable<string>} [options.capabilities]
   */
  constructor({ now, terms = TERMS, models = [], capabilities = [] }) {
    if (!(MIN_WINDOW <= terms.window && terms.window <= MAX_WINDOW))
      throw new LocalProtocolError(`a window of ${terms.window} bytes`);
    this.#terms = terms;
    this.#capabilities = [...capabilities].slice(0, MOST_CAPABILITIES);
    this.window = terms.window;
    this.#heard = this.#spoke = now;
    this.#peerIdle = terms.idle;
    this.#pace = new Pace(now);
    this.#say({
      type: "HELLO",
      minor: MINOR,
      window: this.window,
      idle: terms.idle,
      models: [...models].slice(0, MOST_MODELS),
      capabilities: this.#capabilities,
    });
  }

  /** Whether the session has failed: send what transmit() still returns, then close. */
  get closed() {
    return this.#tracker.connection === "CLOSED";
  }

  /** Whether the sender has sent GOAWAY. */
  get leaving() {
    return this.#tracker.connection === "LEAVING";
  }

  /** Ids of the streams that are open, oldest first. */
  get streams() {
    return this.#tracker.streams;
  }

  /** Messages waiting for transmit(). */
  get backlog() {
    return this.#outbox.length;
  }

  /** The window in force: the one granted last. */
  get current() {
    return Math.min(this.#pace.window, this.window);
  }

  /** Seconds from HELLO to WELCOME; null before. */
  get roundTrip() {
    return this.#pace.roundTrip;
  }

  /** The link's rate in bytes of payload a second; null while it is unknown. */
  get rate() {
    return this.#pace.rate;
  }

  /** Whether the sender keeps announcing changes of its catalogue; false before WELCOME. */
  get following() {
    return this.#following && (this.welcome?.capabilities.includes(FOLLOW) ?? false);
  }

  /** Whether the sender has streams of parts of pictures; false before WELCOME. */
  get regions() {
    return this.welcome?.capabilities.includes(REGION) ?? false;
  }

  /**
   * Ask for the catalogue, which comes as one or more CATALOGUE events.
   *
   * With `follow`, more of them come whenever something changes, if the sender supports that;
   * list() must not be called again then.
   *
   * @param {object} [options]
   * @param {boolean} [options.follow]
   * @param {string | null} [options.mark] the mark of the last page received
   */
  list({ follow = false, mark = null } = {}) {
    this.#stay();
    if (this.#listing) throw new LocalProtocolError("the last LIST has not been answered yet");
    this.#say({ type: "LIST", follow, mark });
    this.#listing = true;
    this.#following = follow;
  }

  /**
   * Ask for a picture's stream and return the id that its events will carry.
   *
   * DATA events come until `target` is reached, and at last END or ERROR.  Throws LinkLost if the
   * sender is leaving.
   *
   * @param {string} image
   * @param {object} [options]
   * @param {number} [options.start] how many bytes of it are held already
   * @param {string | null} [options.prefix] the PrefixHash of those
   * @param {Target} [options.target]
   * @param {number} [options.weight] how much a gain in quality counts beside other streams
   * @param {string | null} [options.model] the fingerprint that the bytes held name
   * @param {import("./region.js").Region | null} [options.region] the part that is wanted, if the
   *   sender has regions
   */
  open(
    image,
    { start = 0, prefix = null, target = {}, weight = 1, model = null, region = null } = {},
  ) {
    this.#stay();
    if (region && !this.regions)
      throw new LocalProtocolError("a region of a sender that has not said that it knows them");
    const stream = this.#tracker.lastOpened + 1;
    const held = { start, prefix, model };
    this.#say({ type: "OPEN", stream, image, ...held, ...plain(target), weight, region });
    const limit = Math.max(start, target.bytes ?? MAX_STREAM);
    this.#progress.set(stream, { position: start, limit, updates: 0 });
    return stream;
  }

  /**
   * Change how far an open stream goes, and its weight; return false if it has ended.
   *
   * The sender may end it before it receives this, which `updates` in END shows.  To get more then,
   * open the stream again.
   *
   * @param {number} stream
   * @param {{ target?: Target, weight?: number }} [options]
   */
  update(stream, { target = {}, weight = 1 } = {}) {
    const progress = this.#progress.get(stream);
    if (this.closed || this.#tracker.stream(stream) !== "OPEN" || !progress) return false;
    this.#say({ type: "UPDATE", stream, ...plain(target), weight });
    progress.updates += 1;
    // Bytes in flight were sent for the earlier target.
    progress.limit = Math.max(progress.limit, target.bytes ?? MAX_STREAM);
    return true;
  }

  /**
   * Ask the sender to stop a stream; END follows.  It is no error if the stream has ended.
   *
   * @param {number} stream
   */
  stop(stream) {
    if (!this.closed && this.#tracker.stream(stream) === "OPEN")
      this.#say({ type: "STOP", stream });
  }

  /**
   * Take one WebSocket message from the sender and return the event that the caller has to handle.
   *
   * Throws RemoteProtocolError if the sender broke the protocol (transmit() then returns the ERROR
   * to send), and PeerError if the sender ended the connection with an ERROR.
   *
   * @param {Uint8Array | string} data
   * @param {number} now
   * @returns {Message | null}
   */
  receive(data, now) {
    try {
      if (typeof data === "string") throw new RemoteProtocolError("a text message");
      const message = decode(data);
      this.#tracker.advance("receives", message);
      this.#heard = now;
      if (message.type === "WELCOME") this.#understand(message.capabilities);
      if (message.type === "ALIVE" && message.said !== null && message.said !== this.#taken)
        throw new RemoteProtocolError(`ALIVE: of ${message.said} messages ${this.#taken} came`);
      this.#taken += 1;
      if (message.type === "ERROR" && !message.stream) throw peerError(message);
      return this.#handle(message);
    } catch (error) {
      if (error instanceof RemoteProtocolError) this.#giveUp(Code.PROTOCOL, error.message);
      throw error;
    }
  }

  /**
   * Return the messages to send, in order, each once.
   *
   * @param {number} now
   */
  transmit(now) {
    const messages = this.#outbox;
    this.#outbox = [];
    if (messages.length) this.#spoke = now;
    return messages;
  }

  /** Return when handleTimeout() has to be called, or null if never. */
  nextTimeout() {
    return this.closed ? null : Math.min(this.#deadline, this.#spoke + this.#breath);
  }

  /**
   * Do what is due: send ALIVE, or end a link that is silent.
   *
   * Throws LinkLost in the latter case.  Calling it too early does nothing.
   *
   * @param {number} now
   */
  handleTimeout(now) {
    if (this.closed) return;
    if (now >= this.#deadline) {
      const silence = `nothing heard from the sender for ${(now - this.#heard).toFixed(0)} s`;
      this.#giveUp(Code.TIMEOUT, silence);
      throw new LinkLost(silence);
    }
    if (now >= this.#spoke + this.#breath) {
      this.#spoke = now;
      if (this.#tracker.connection !== "START") this.#say({ type: "ALIVE", said: this.#said });
    }
  }

  /**
   * @param {Message} message
   * @returns {Message | null}
   */
  #handle(message) {
    switch (message.type) {
      case "WELCOME":
        this.#agree(message);
        return message;
      case "CATALOGUE":
        if (!this.#listing) throw new RemoteProtocolError("a CATALOGUE without a LIST");
        this.#listing = this.following || !message.last;
        return message;
      case "DATA":
        this.#takePayload(message);
        return message;
      case "END": {
        const progress = this.#of(message.stream);
        this.#progress.delete(message.stream);
        const held = progress.position;
        if (message.length !== held)
          throw new RemoteProtocolError(`END: at byte ${message.length}, but ${held} came`);
        if (message.updates > progress.updates)
          throw new RemoteProtocolError("END: more UPDATEs than were said");
        return message;
      }
      case "ERROR":
        this.#progress.delete(message.stream);
        return message;
      case "GOAWAY":
        return message;
    }
    return null;
  }

  /** @param {import("./messages.js").Welcome} welcome */
  #agree(welcome) {
    if (welcome.window > this.window)
      throw new RemoteProtocolError("WELCOME: a window larger than HELLO's");
    this.welcome = welcome;
    this.window = welcome.window;
    this.#peerIdle = welcome.idle;
    this.#pace.welcomed(this.#heard);
  }

  /** @param {import("./messages.js").Data} data */
  #takePayload(data) {
    const progress = this.#of(data.stream);
    const size = data.payload.length;
    if (data.offset !== progress.position)
      throw new RemoteProtocolError(`DATA: byte ${data.offset}, not ${progress.position}`);
    progress.position += size;
    this.#received += size;
    if (progress.position > progress.limit)
      throw new RemoteProtocolError("DATA: more than was asked for");
    const unacknowledged = this.#received - this.#acknowledged;
    if (unacknowledged > this.window)
      throw new RemoteProtocolError("DATA: more than the window allows");
    this.#pace.arrived(size, this.#heard);
    // Three for a window: few enough to cost little, enough that a sender whose frames are
    // half a window never stops.
    if (3 * unacknowledged >= this.current) {
      this.#pace.renew(this.#heard);
      this.#say({ type: "ACK", received: this.#received, window: this.current });
      this.#acknowledged = this.#received;
    }
  }

  /**
   * @param {number} stream one that the tables have as open
   * @returns {Progress}
   */
  #of(stream) {
    return /** @type {Progress} */ (this.#progress.get(stream));
  }

  /** @param {string[]} capabilities */
  #understand(capabilities) {
    for (const capability of capabilities) {
      if (!capability.startsWith(MUST)) continue;
      if (this.#capabilities.includes(capability.slice(MUST.length))) continue;
      const unsupported = `${capability} is demanded, which is not known here`;
      this.#giveUp(Code.UNSUPPORTED, unsupported);
      throw new RemoteProtocolError(unsupported);
    }
  }

  /** @param {{ type: Message["type"], stream?: number, [field: string]: unknown }} message */
  #say(message) {
    const bytes = encode(message);
    this.#tracker.advance("sends", message);
    this.#outbox.push(bytes);
    this.#said += 1;
  }

  /**
   * @param {string} code
   * @param {string} reason
   */
  #giveUp(code, reason) {
    if (this.closed) return;
    const retry = code === Code.TIMEOUT;
    this.#say({ type: "ERROR", stream: 0, code, message: oneLine(reason), retry });
  }

  #stay() {
    if (this.leaving) throw new LinkLost("the sender is shutting down");
  }

  get #deadline() {
    return this.#heard + this.#terms.idle;
  }

  /** Seconds without a message after which this end sends ALIVE. */
  get #breath() {
    return Math.max(this.#peerIdle / 3, SHORTEST_BREATH);
  }
}

/**
 * Return the fields of a target and nothing else.
 *
 * @param {Target} target
 */
function plain({ bytes = null, bpp = null, side = null, psnr = null }) {
  return { bytes, bpp, side, psnr };
}
