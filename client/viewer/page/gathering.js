/**
 * A broadcast that comes in: its packets, and the picture that they give.
 *
 * @module
 */

import { PacketLink, PacketReceiver } from "diffc-client";

/** Dispatches "change" when a packet has told something new. */
export class Gathering extends EventTarget {
  receiver = new PacketReceiver();
  link;
  #picture;
  #assembled = true;

  /**
   * @param {string} url Of the relay.
   * @param {import("diffc-client").Decoding} decoding
   * @param {(status: import("./standing.js").Status, error?: Error) => void} onStatus
   */
  constructor(url, decoding, onStatus) {
    super();
    this.#picture = decoding.picture();
    this.link = new PacketLink(url, { onPacket: (packet) => this.#take(packet), onStatus });
  }

  /** Bytes that packets have brought of the stream last heard of. */
  get length() {
    return this.receiver.newest?.bytes ?? 0;
  }

  /** The picture in the worker, with all that has arrived. */
  get picture() {
    if (!this.#assembled) this.#picture.assemble(this.receiver.newest?.parts() ?? []);
    this.#assembled = true;
    return this.#picture;
  }

  /** @param {Uint8Array} packet */
  #take(packet) {
    const outcome = this.receiver.take(packet);
    if (outcome === "new") this.#assembled = false;
    this.dispatchEvent(new Event("change"));
  }
}
