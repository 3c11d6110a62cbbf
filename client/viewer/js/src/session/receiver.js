/**
 * The end that asks for pictures, without the connection.
 *
 * A session takes the messages that arrived, gives back what they mean, and holds the messages to
 * send until they are fetched.  It knows no sockets, no promises and no clock: whoever drives it says
 * what time it is, in seconds.  Driving one takes four calls:
 *
 *     const event = session.receive(data, now)              for every WebSocket message, in order
 *     for (const bytes of session.transmit(now)) ...        after anything was received or asked for
 *     session.handleTimeout(now)                            at session.nextTimeout(), at the latest
 *
 * Events are the messages themselves, or null for what the session deals with alone.  Payloads are
 * bytes: a session never sees pictures.
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
} from "./messages.js";
import { Pace } from "./pace.js";
import { Tracker } from "./state.js";

/** Seconds; nobody is obliged to say more often that he is there. */
const SHORTEST_BREATH = 0.3;

/** @typedef {import("./messages.js").Message} Message */

/**
 * What a receiver offers in HELLO: the most bytes of payload under way, and the seconds of silence
 * after which it gives the link up.
 *
 * @typedef {{ window: number, idle: number }} Terms
 */

/** @type {Readonly<Terms>} */
export const TERMS = Object.freeze({ window: 8192, idle: 60 });

/**
 * How far a stream is wanted, of all that is given what is reached first; nothing: to its end.
 *
 * @typedef {object} Target
 * @property {number | null} [bytes] of the stream, counted from its very start
 * @property {number | null} [bpp] bits per pixel of the picture
 * @property {number | null} [side] a longer side in pixels: octaves it has no use for are not wanted
 * @property {number | null} [psnr] quality in dB that is good enough, as predicted
 */

/**
 * How far a stream has come.
 *
 * @typedef {{ position: number, limit: number, updates: number }} Progress
 */

/** One conversation with a sender.  HELLO is its first message, waiting from the start. */
export class ReceiverSession {
  /**
   * What the sender said of itself, once it has.
   *
   * @type {import("./messages.js").Welcome | null}
   */
  welcome = null;
  /** Most bytes of payload that may be under way; agreed on by HELLO and WELCOME. */
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
   * @param {Iterable<string>} [options.models] fingerprints of those it can decode with; only so
   *   many fit a message: the first MOST_MODELS are named
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

  /** The connection has failed: send what transmit() still gives, then close it. */
  get closed() {
    return this.#tracker.connection === "CLOSED";
  }

  /** The sender has said GOAWAY. */
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

  /** The window in force: what was granted last. */
  get current() {
    return Math.min(this.#pace.window, this.window);
  }

  /** Seconds from HELLO to WELCOME; null before. */
  get roundTrip() {
    return this.#pace.roundTrip;
  }

  /** Bytes of payload that the link carries in a second; null if it cannot be told yet. */
  get rate() {
    return this.#pace.rate;
  }

  /** The sender goes on saying what changes in its catalogue; not known before WELCOME. */
  get following() {
    return this.#following && (this.welcome?.capabilities.includes(FOLLOW) ?? false);
  }

  /**
   * Ask for the catalogue, which comes as one or more CATALOGUE events.
   *
   * With `follow`, more of them come whenever something changes, if the sender can do that; there can
   * be no other list() then.
   *
   * @param {object} [options]
   * @param {boolean} [options.follow]
   * @param {string | null} [options.mark] of the last page held
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
   * @param {number} [options.start] so many bytes of it are held already
   * @param {string | null} [options.prefix] the PrefixHash of those
   * @param {Target} [options.target]
   * @param {number} [options.weight] how much a gain in quality counts beside other streams
   * @param {string | null} [options.model] the fingerprint that the bytes held name
   */
  open(image, { start = 0, prefix = null, target = {}, weight = 1, model = null } = {}) {
    this.#stay();
    const stream = this.#tracker.lastOpened + 1;
    this.#say({ type: "OPEN", stream, image, start, prefix, ...plain(target), weight, model });
    const limit = Math.max(start, target.bytes ?? MAX_STREAM);
    this.#progress.set(stream, { position: start, limit, updates: 0 });
    return stream;
  }

  /**
   * Change how far an open stream goes, and its weight; return false if it has ended.
   *
   * The sender may end it before it hears of this, as END's `updates` tells: who then wants more
   * opens it again.
   *
   * @param {number} stream
   * @param {{ target?: Target, weight?: number }} [options]
   */
  update(stream, { target = {}, weight = 1 } = {}) {
    const progress = this.#progress.get(stream);
    if (this.closed || this.#tracker.stream(stream) !== "OPEN" || !progress) return false;
    this.#say({ type: "UPDATE", stream, ...plain(target), weight });
    progress.updates += 1;
    // What is under way was sent for the target before.
    progress.limit = Math.max(progress.limit, target.bytes ?? MAX_STREAM);
    return true;
  }

  /**
   * Say that no more is wanted of a stream; END follows.  Too late is not an error.
   *
   * @param {number} stream
   */
  stop(stream) {
    if (!this.closed && this.#tracker.stream(stream) === "OPEN")
      this.#say({ type: "STOP", stream });
  }

  /**
   * Take one WebSocket message from the sender and return what the driver has to act on.
   *
   * Throws RemoteProtocolError if the sender broke the protocol (an ERROR that says so is then
   * waiting in transmit()), and PeerError if the sender gave the connection up.
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

  /** Return when handleTimeout() wants to be called, or null if never. */
  nextTimeout() {
    return this.closed ? null : Math.min(this.#deadline, this.#spoke + this.#breath);
  }

  /**
   * Do what is due: say that this end is alive, or give the link up.
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
    // Three to a window: seldom enough to cost little, often enough that a sender whose frames are
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

  /** Seconds without a word after which this end says that it is there. */
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
