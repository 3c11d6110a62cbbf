/** A network in virtual time: a clock, sockets that it connects, and a sender at the other end. */

import { decode, encode } from "../src/session/messages.js";
import { PrefixHash } from "../src/session/prefix.js";

/** @typedef {import("../src/session/messages.js").Message} Message */

const MODEL = "0a1b2c3d";

/** Time that passes when everybody waits. */
export class VirtualClock {
  #now = 0;
  /** @type {{ time: number, task: () => void }[]} */
  #due = [];

  now() {
    return this.#now;
  }

  /**
   * @param {number} seconds
   * @param {() => void} task
   */
  after(seconds, task) {
    const entry = { time: this.#now + seconds, task };
    // Behind those of the same time.
    const place = this.#due.findIndex(({ time }) => time > entry.time);
    this.#due.splice(place < 0 ? this.#due.length : place, 0, entry);
    return () => {
      const index = this.#due.indexOf(entry);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  /** Tasks that are waiting. */
  get pending() {
    return this.#due.length;
  }

  /**
   * Let time pass until `condition` holds.
   *
   * @param {() => boolean} condition
   */
  async until(condition) {
    for (;;) {
      await turn();
      if (condition()) return;
      const next = this.#due.shift();
      if (!next) throw new Error("nothing is left to happen");
      this.#now = Math.max(this.#now, next.time);
      next.task();
    }
  }

  /**
   * Let so much time pass.
   *
   * @param {number} seconds
   */
  async pass(seconds) {
    let over = false;
    this.after(seconds, () => (over = true));
    await this.until(() => over);
  }

  /**
   * Let time pass until a promise is settled, and return what it came to.
   *
   * @template T
   * @param {Promise<T>} promise
   */
  async settled(promise) {
    let settled = false;
    const done = () => (settled = true);
    promise.then(done, done);
    await this.until(() => settled);
    return promise;
  }
}

/** Let all promises that can go on do so. */
export function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * The way to a sender, and the sender.
 *
 * Every connection is cut after so many bytes of messages each way, the first pair of `cuts` for the
 * first connection: a message that is not whole by then is lost.
 */
export class Network {
  /** @type {import("../src/socket.js").SocketType} */
  WebSocket;
  /**
   * Streams by name.
   *
   * @type {Map<string, Uint8Array>}
   */
  streams = new Map();
  /** Seconds that a message takes, and bytes of payload in a frame. */
  latency = 0.05;
  frame = 100;
  /** @type {{ down?: number, up?: number }[]} */
  cuts = [];
  /** What the sender can do. @type {string[]} */
  capabilities = [];
  /** How connections end before they begin: "refused", "silent", "deaf" or "foreign". */
  /** @type {string | null} */
  mood = null;
  /** Conversations, one for every connection. */
  /** @type {Conversation[]} */
  conversations = [];

  /** @param {VirtualClock} clock */
  constructor(clock) {
    this.clock = clock;
    const network = this;
    this.WebSocket = class extends FakeSocket {
      /**
       * @param {string} url
       * @param {string[]} protocols
       */
      constructor(url, protocols) {
        super(network, url, protocols);
      }
    };
  }

  /** The conversation of the newest connection. */
  get last() {
    return /** @type {Conversation} */ (this.conversations.at(-1));
  }

  /** Payload sent, in all. */
  get sent() {
    return this.conversations.reduce((sum, conversation) => sum + conversation.sent, 0);
  }
}

class FakeSocket {
  binaryType = "blob";
  protocol = "";
  readyState = 0;
  /** @type {((event: any) => void) | null} */
  onopen = null;
  /** @type {((event: any) => void) | null} */
  onmessage = null;
  /** @type {((event: any) => void) | null} */
  onclose = null;
  /** @type {((event: any) => void) | null} */
  onerror = null;
  #network;
  #gone = false;
  #down;
  #up;
  /** @type {Conversation | null} */
  #conversation = null;

  /**
   * @param {Network} network
   * @param {string} url
   * @param {string[]} protocols
   */
  constructor(network, url, protocols) {
    if (url.includes("insecure")) throw new Error("not from a page like this");
    const { clock, mood, latency } = network;
    this.url = url;
    this.#network = network;
    const cut = network.cuts.shift() ?? {};
    this.#down = cut.down ?? Infinity;
    this.#up = cut.up ?? Infinity;
    if (mood === "refused") clock.after(latency, () => this.onerror?.({}));
    else if (mood !== "silent")
      clock.after(latency, () => {
        this.protocol = mood === "foreign" ? "" : protocols[0];
        this.#conversation = new Conversation(network, this, mood === "deaf");
        network.conversations.push(this.#conversation);
        this.readyState = 1;
        this.onopen?.({});
      });
  }

  /** @param {Uint8Array} data */
  send(data) {
    // Browsers complain of it where nobody can catch it.
    if (this.readyState !== 1) throw new Error("it takes no messages now");
    this.#up -= data.length;
    if (this.#up < 0) this.cut(1006);
    if (this.#gone) return;
    const copy = data.slice();
    this.#network.clock.after(this.#network.latency, () => this.#conversation?.hear(copy));
  }

  close() {
    this.readyState = 3;
    this.#gone = true;
    this.#conversation?.leave();
  }

  /**
   * What the sender says.
   *
   * @param {Uint8Array | string} data
   */
  deliver(data) {
    this.#down -= data.length;
    if (this.#down < 0) this.cut(1006);
    if (this.#gone) return;
    this.#network.clock.after(this.#network.latency, () => {
      const event = typeof data === "string" ? data : data.slice().buffer;
      this.onmessage?.({ data: event });
    });
  }

  /**
   * Break the connection, after what is under way.
   *
   * @param {number} code
   * @param {string} [reason]
   */
  cut(code, reason = "") {
    if (this.#gone) return;
    this.#gone = true;
    this.#conversation?.leave();
    // For a while a socket knows of its end, but tells nobody.
    this.#network.clock.after(0, () => (this.readyState = 2));
    this.#network.clock.after(this.#network.latency, () => this.onclose?.({ code, reason }));
  }
}

/** What a sender knows of one connection. */
class Conversation {
  /** Payload sent on it. */
  sent = 0;
  /** @type {Message[]} */
  heard = [];
  /** @type {Map<number, { image: string, position: number, limit: number, updates: number }>} */
  #open = new Map();
  #acknowledged = 0;
  #window = 2200;
  #here = true;

  /**
   * @param {Network} network
   * @param {FakeSocket} socket
   * @param {boolean} deaf says nothing
   */
  constructor(network, socket, deaf) {
    this.network = network;
    this.socket = socket;
    this.deaf = deaf;
  }

  /** Ids of the streams that are open. */
  get streams() {
    return [...this.#open.keys()];
  }

  leave() {
    this.#here = false;
  }

  /** @param {{ type: Message["type"], [field: string]: unknown }} message */
  say(message) {
    if (this.#here) this.socket.deliver(encode(message));
  }

  /** Say GOAWAY and end everything. */
  goAway() {
    this.say({ type: "GOAWAY", wait: 4 });
    for (const stream of this.streams) this.end(stream, "draining");
  }

  /**
   * @param {number} stream
   * @param {string} reason
   */
  end(stream, reason) {
    const { position: length, updates } = this.#stream(stream);
    this.#open.delete(stream);
    this.say({ type: "END", stream, reason, length, updates });
  }

  /** @param {Uint8Array} data */
  hear(data) {
    if (!this.#here || this.deaf) return;
    const message = decode(data);
    this.heard.push(message);
    switch (message.type) {
      case "HELLO":
        this.say({
          ...{ type: "WELCOME", window: 8192, idle: 60, streams: 64, models: [MODEL] },
          capabilities: this.network.capabilities,
        });
        break;
      case "LIST":
        this.#list();
        break;
      case "OPEN":
        this.#begin(message);
        break;
      case "UPDATE": {
        const open = this.#open.get(message.stream);
        if (!open) break;
        open.updates += 1;
        open.limit = message.bytes ?? Infinity;
        break;
      }
      case "STOP":
        if (this.#open.has(message.stream)) this.end(message.stream, "stopped");
        break;
      case "ACK":
        this.#acknowledged = message.received;
        this.#window = message.window ?? 8192;
        break;
    }
    this.#send();
  }

  #list() {
    const names = [...this.network.streams.keys()];
    for (const [index, name] of names.entries()) {
      const entry = { name, size: 1, time: 2, thumbprint: "0123456789abcdef" };
      this.say({ type: "CATALOGUE", images: [entry], last: index === names.length - 1 });
    }
    if (!names.length) this.say({ type: "CATALOGUE", images: [], last: true });
  }

  /** @param {import("../src/session/messages.js").Open} open */
  #begin({ stream, image, start, prefix, bytes }) {
    const held = this.network.streams.get(image);
    if (!held) {
      this.say({ type: "ERROR", stream, code: "unknown-image", message: "there is none" });
      return;
    }
    if (start && (start > held.length || String(new PrefixHash(held.slice(0, start))) !== prefix)) {
      this.say({ type: "ERROR", stream, code: "prefix-mismatch", message: "another picture" });
      return;
    }
    this.#open.set(stream, { image, position: start, limit: bytes ?? Infinity, updates: 0 });
  }

  #send() {
    for (const stream of this.streams) {
      const open = this.#stream(stream);
      const whole = this.#bytes(open.image);
      const end = Math.min(whole.length, open.limit);
      while (open.position < end) {
        const credit = this.#window - (this.sent - this.#acknowledged);
        const size = Math.min(this.network.frame, end - open.position, credit);
        if (size <= 0) return;
        const payload = whole.subarray(open.position, open.position + size);
        this.say({ type: "DATA", stream, offset: open.position, payload });
        open.position += size;
        this.sent += size;
      }
      this.end(stream, whole.length > end ? "target" : "complete");
    }
  }

  /** @param {number} stream */
  #stream(stream) {
    const open = this.#open.get(stream);
    if (!open) throw new Error(`stream ${stream} is not open`);
    return open;
  }

  /** @param {string} image */
  #bytes(image) {
    return this.network.streams.get(image) ?? new Uint8Array();
  }
}
