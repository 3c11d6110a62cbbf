/**
 * A connection to a relay of packets, that is made again when it breaks.
 *
 * @module
 */

import { CLOCK } from "../clock.js";
import { AddressError, LinkLost } from "../errors.js";
import { Meter } from "../meter.js";
import { Reconnection } from "../reconnection.js";
import { OPEN_TIMEOUT, TimedSocket } from "../socket.js";
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
 * @property {import("../socket.js").SocketType} [WebSocket] by default the browser's
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
  #reconnection;
  #meter = new Meter();
  /** @type {TimedSocket | null} */
  #socket = null;

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
    this.#reconnection = new Reconnection(() => this.#dial(), {
      clock: this.#clock,
      draw: options.draw,
    });
    this.#dial();
  }

  /** Seconds until the next attempt while it is waiting for one; null otherwise. */
  get retryIn() {
    return this.#reconnection.retryIn;
  }

  /** Make the next attempt now. */
  retry() {
    if (this.status === "waiting") this.#reconnection.now();
  }

  /** Return how many bytes have arrived, and the rate of the last seconds in bytes a second. */
  statistics() {
    return { received: this.#meter.received, rate: this.#meter.rate(this.#clock.now()) };
  }

  /** Close the connection, and make no other. */
  close() {
    this.#reconnection.cancel();
    this.#socket?.close();
    this.#socket = null;
    this.#say("closed");
  }

  #dial() {
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    const options = { WebSocket, clock: this.#clock };
    this.#socket = new TimedSocket(this.#url, [SUBPROTOCOL], options, {
      opened: () => this.#say("connected"),
      arrived: (data) => this.#arrived(data),
      closed: () => this.#lost("the connection to the relay of packets was lost"),
      late: () => this.#lost(`the relay of packets did not answer within ${OPEN_TIMEOUT} s`),
    });
    this.#say("connecting");
  }

  /** @param {ArrayBuffer | string} data */
  #arrived(data) {
    if (typeof data === "string") return;
    this.#reconnection.progress();
    this.#meter.arrived(data.byteLength, this.#clock.now());
    if (data.byteLength <= LARGEST) this.#options.onPacket(new Uint8Array(data));
  }

  /** @param {string} why */
  #lost(why) {
    this.#socket = null;
    const error = new LinkLost(why);
    this.#reconnection.later(error);
    this.#say("waiting", error);
  }

  /** @param {Status} status @param {Error} [error] */
  #say(status, error) {
    this.status = status;
    this.#options.onStatus?.(status, error);
  }
}
