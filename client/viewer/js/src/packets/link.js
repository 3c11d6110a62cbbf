/**
 * A connection to a relay of packets, that is made again when it breaks.
 *
 * @module
 */

import { Backoff } from "../backoff.js";
import { CLOCK } from "../clock.js";
import { AddressError, LinkLost } from "../errors.js";
import { Meter } from "../meter.js";
import { LARGEST } from "./grammar.js";

/** What both ends call the packets of a broadcast, one in each message. */
const SUBPROTOCOL = "diffc-packets.v1";

/** @typedef {import("../sender.js").Status} Status */

/**
 * `onPacket` gets each packet; what it holds is up to PacketReceiver.
 *
 * @typedef {object} Options
 * @property {(packet: Uint8Array) => void} onPacket
 * @property {(status: Status, error?: Error) => void} [onStatus]
 * @property {import("../link.js").SocketType} [WebSocket] by default the browser's
 * @property {import("../clock.js").Clock} [clock]
 * @property {() => number} [draw] random numbers from 0 to 1, for the waits before new attempts
 */

/**
 * Stays connected to the relay at `url`, ws://HOST[:PORT]/ or wss://, until close().
 *
 *     const receiver = new PacketReceiver();
 *     const link = new PacketLink("ws://localhost:8080/", {
 *       onPacket: (packet) => receiver.take(packet) === "new" && redraw(),
 *     });
 */
export class PacketLink {
  /** @type {Status} */
  status = "connecting";
  #url;
  #options;
  #clock;
  #backoff;
  #meter = new Meter();
  /** @type {import("../link.js").Socket | null} */
  #socket = null;
  /** Cancels the next attempt. @type {(() => void) | null} */
  #callOff = null;
  /** @type {number | null} */
  #due = null;

  /**
   * Throws AddressError if `url` is not that of a WebSocket.
   *
   * @param {string} url
   * @param {Options} options
   */
  constructor(url, options) {
    if (!/^wss?:\/\/./.test(url)) {
      throw new AddressError(`${url} is not the address of a relay: it should be ws://HOST:PORT/`);
    }
    this.#url = url;
    this.#options = options;
    this.#clock = options.clock ?? CLOCK;
    this.#backoff = new Backoff({ draw: options.draw });
    this.#dial();
  }

  /** Seconds until the next attempt while it is waiting for one; null otherwise. */
  get retryIn() {
    return this.#due === null ? null : Math.max(0, this.#due - this.#clock.now());
  }

  /** Make the next attempt now. */
  retry() {
    if (this.status !== "waiting") return;
    this.#callOff?.();
    this.#dial();
  }

  /** Return how many bytes have arrived, and the rate of the last seconds in bytes a second. */
  statistics() {
    return { received: this.#meter.received, rate: this.#meter.rate(this.#clock.now()) };
  }

  /** Close the connection, and make no other. */
  close() {
    this.#callOff?.();
    this.#due = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#say("closed");
  }

  #dial() {
    this.#callOff = this.#due = null;
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    const socket = (this.#socket = new WebSocket(this.#url, [SUBPROTOCOL]));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#socket === socket && this.#say("connected");
    socket.onmessage = (/** @type {{ data: unknown }} */ { data }) => {
      if (this.#socket !== socket || !(data instanceof ArrayBuffer)) return;
      this.#backoff.progress();
      this.#meter.arrived(data.byteLength, this.#clock.now());
      if (data.byteLength <= LARGEST) this.#options.onPacket(new Uint8Array(data));
    };
    socket.onclose = () => this.#socket === socket && this.#lost();
    this.#say("connecting");
  }

  #lost() {
    this.#socket = null;
    const error = new LinkLost("the connection to the relay of packets was lost");
    const delay = this.#backoff.pause(error, this.#clock.now());
    this.#due = this.#clock.now() + delay;
    this.#callOff = this.#clock.after(delay, () => this.#dial());
    this.#say("waiting", error);
  }

  /** @param {Status} status @param {Error} [error] */
  #say(status, error) {
    this.status = status;
    this.#options.onStatus?.(status, error);
  }
}
