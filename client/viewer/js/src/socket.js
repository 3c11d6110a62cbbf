/**
 * A WebSocket that has to open in time.
 *
 * @module
 */

/** Seconds that the handshake may take; at 15 bytes a second it takes half a minute. */
export const OPEN_TIMEOUT = 120;
const NORMAL_CLOSURE = 1000;
const ABNORMAL_CLOSURE = 1006;
/** The readyState of a WebSocket that is open. */
const OPEN = 1;

/**
 * The part of the browser's WebSocket that is used.
 *
 * @typedef {object} Socket
 * @property {string} binaryType
 * @property {string} protocol
 * @property {number} readyState
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(data: Uint8Array<ArrayBuffer>) => void} send
 * @property {(code?: number) => void} close
 */

/** @typedef {new (url: string, protocols: string[]) => Socket} SocketType */

/**
 * Is called when something happens to a socket.
 *
 * @typedef {object} Listener
 * @property {() => void} opened
 * @property {(data: ArrayBuffer | string) => void} arrived
 * @property {(event: { code: number, reason: string }) => void} closed also if it cannot be opened
 * @property {() => void} late it has not opened within OPEN_TIMEOUT seconds
 */

/** A WebSocket, of which nothing is heard any more after close(), `closed` or `late`. */
export class TimedSocket {
  #socket;
  #callOff;

  /**
   * Begin to connect.  Throws what the WebSocket throws if it refuses the address.
   *
   * @param {string} url
   * @param {string[]} protocols
   * @param {object} options
   * @param {SocketType} options.WebSocket
   * @param {import("./clock.js").Clock} options.clock
   * @param {Listener} listener
   */
  constructor(url, protocols, { WebSocket, clock }, listener) {
    const socket = (this.#socket = new WebSocket(url, protocols));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#callOff();
      listener.opened();
    };
    socket.onmessage = ({ data }) => listener.arrived(data);
    socket.onclose = (event) => this.#closed(event, listener);
    // Every error event is a failure, and some platforms send no close event after it.
    socket.onerror = () => this.#closed({ code: ABNORMAL_CLOSURE, reason: "" }, listener);
    this.#callOff = clock.after(OPEN_TIMEOUT, () => {
      this.close();
      listener.late();
    });
  }

  /** What the peer agreed to speak. */
  get protocol() {
    return this.#socket.protocol;
  }

  /** Whether it takes messages; one that is closing does not, and says so only later. */
  get open() {
    return this.#socket.readyState === OPEN;
  }

  /** @param {Uint8Array<ArrayBuffer>} data */
  send(data) {
    this.#socket.send(data);
  }

  /** Close it without a word to the listener. */
  close() {
    this.#callOff();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    // Pages may not close with 1002; an ERROR has been sent in its place.
    socket.close(NORMAL_CLOSURE);
  }

  /** @param {{ code: number, reason: string }} event @param {Listener} listener */
  #closed(event, listener) {
    this.close();
    listener.closed(event);
  }
}
