/**
 * One connection to a sender: a WebSocket joined to a session.
 *
 * @module
 */

import { AddressError, LinkLost, PeerError, RemoteProtocolError, SenderLeaving } from "./errors.js";
import { MOST_ENTRIES } from "./listing.js";
import { oneLine } from "./session/fields.js";
import { Code, DFC1, DFC2, DFC3, peerError, SUBPROTOCOL } from "./session/messages.js";
import { ReceiverSession } from "./session/receiver.js";

/** Seconds that a handshake may take; at 15 bytes a second it takes half a minute. */
const OPEN_TIMEOUT = 120;
/** What a subprotocol begins with that is a token: pages cannot set the header for it. */
const OFFER = "bearer.";
const NORMAL_CLOSURE = 1000;
const GOING_AWAY = 1001;
const ABNORMAL_CLOSURE = 1006;
/** What a WebSocket's readyState is when it takes messages. */
const OPEN = 1;

/** @typedef {import("./session/messages.js").Entry} Entry */
/** @typedef {import("./session/messages.js").End} End */
/** @typedef {import("./session/receiver.js").Target} Target */

/**
 * What a WebSocket is here: the part of the browsers' that a link uses.
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
 * Who wants to know how a link fares.
 *
 * @typedef {object} Owner
 * @property {() => void} opened there is a connection: now things can be asked for
 * @property {() => void} met the sender has said WELCOME
 * @property {(bytes: number) => void} arrived a message of so many bytes has come
 * @property {() => void} progress something that was asked for has come
 * @property {(error: Error) => void} lost the link is no more; nothing else is called after this
 */

/**
 * Who wants what arrives of a stream.  If the sender leaves, `end` is not called: the link is lost.
 *
 * @typedef {object} Recipient
 * @property {(payload: Uint8Array) => void} take
 * @property {(end: End) => void} end
 * @property {(error: PeerError) => void} fail
 */

/** A connection to a sender, on its way from the start. */
export class Link {
  /** The sender has said WELCOME. */
  met = false;
  #url;
  #owner;
  #clock;
  #options;
  /** @type {Socket | null} */
  #socket = null;
  /** @type {ReceiverSession | null} */
  #session = null;
  /** @type {Map<number, Recipient>} */
  #recipients = new Map();
  /** @type {Entry[]} */
  #entries = [];
  /** @type {((entries: Entry[]) => void) | null} */
  #listed = null;
  /** @type {((page: import("./session/messages.js").Catalogue) => void) | null} */
  #followed = null;
  /** @type {LinkLost | null} */
  #leaving = null;
  /** @type {(() => void) | null} */
  #callOff = null;
  #wakes = Infinity;
  #over = false;

  /**
   * Begin to connect.
   *
   * @param {string} url
   * @param {object} options
   * @param {Iterable<string>} options.models fingerprints of those that can be decoded with
   * @param {import("./session/receiver.js").Terms} options.terms
   * @param {SocketType} options.WebSocket
   * @param {string | null} [options.token] to show, where one is wanted
   * @param {import("./clock.js").Clock} options.clock
   * @param {Owner} owner
   */
  constructor(url, { models, terms, WebSocket, clock, token = null }, owner) {
    this.#url = url;
    this.#owner = owner;
    this.#clock = clock;
    this.#options = { models, terms, capabilities: [DFC1, DFC2, DFC3] };
    let socket;
    try {
      socket = new WebSocket(url, token === null ? [SUBPROTOCOL] : [SUBPROTOCOL, OFFER + token]);
    } catch (error) {
      // By the owner's turn it has to know this link.
      const said = error instanceof Error ? oneLine(error.message) : "";
      const lost = new AddressError(`${url} is no address that can be reached from here: ${said}`);
      this.#callOff = clock.after(0, () => this.#lose(lost));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#arrived(data);
    socket.onclose = (event) => this.#closed(event);
    // Nothing but a failure is an error, and not everywhere does a close follow it.
    socket.onerror = () => this.#closed({ code: ABNORMAL_CLOSURE, reason: "" });
    const late = new LinkLost(`${url} did not answer within ${OPEN_TIMEOUT} s`);
    this.#callOff = clock.after(OPEN_TIMEOUT, () => this.#lose(late));
  }

  /** Things can be asked for. */
  get ready() {
    return this.#session !== null && this.#socket !== null && this.#leaving === null;
  }

  /** Seconds from HELLO to WELCOME; null before. */
  get roundTrip() {
    return this.#session?.roundTrip ?? null;
  }

  /** Bytes of payload a second, the best of late; null if it cannot be told yet. */
  get capacity() {
    return this.#session?.rate ?? null;
  }

  /**
   * Ask for a picture's stream, and return its id; see ReceiverSession.open().  Only if ready.
   *
   * @param {string} image
   * @param {Parameters<ReceiverSession["open"]>[1]} options
   * @param {Recipient} recipient
   */
  open(image, options, recipient) {
    const stream = this.#asked().open(image, options);
    this.#recipients.set(stream, recipient);
    this.#flush();
    return stream;
  }

  /**
   * Change how far a stream goes and its weight, if it has not ended.
   *
   * @param {number} stream
   * @param {{ target: Target, weight: number }} wanted
   */
  update(stream, wanted) {
    this.#session?.update(stream, wanted);
    this.#flush();
  }

  /**
   * Say that no more of a stream is wanted, if it has not ended anyway.
   *
   * @param {number} stream
   */
  stop(stream) {
    this.#session?.stop(stream);
    this.#flush();
  }

  /**
   * Ask what pictures there are.  Only if ready, and not while another answer is awaited.
   *
   * @param {(entries: Entry[]) => void} listed
   */
  list(listed) {
    this.#asked().list();
    this.#listed = listed;
    this.#flush();
  }

  /**
   * Ask what pictures there are and what changes, beyond what `mark` stands for.  Only if ready, and
   * not while another answer is awaited.
   *
   * After a page that is the last others come if the sender is `following`; otherwise ask again.
   *
   * @param {string | null} mark
   * @param {(page: import("./session/messages.js").Catalogue) => void} followed
   */
  follow(mark, followed) {
    this.#asked().list({ follow: true, mark });
    this.#followed = followed;
    this.#flush();
  }

  /** The sender goes on saying what changes; known once the first pages of follow() are here. */
  get following() {
    return this.#session?.following ?? false;
  }

  /** Send what is still to be sent, and close; the owner hears no more. */
  close() {
    this.#flush();
    this.#drop();
  }

  #asked() {
    if (!this.#session) throw new LinkLost("there is no connection yet");
    return this.#session;
  }

  /** @param {Socket} socket */
  #opened(socket) {
    this.#callOff?.();
    if (socket.protocol !== SUBPROTOCOL) {
      this.#lose(new RemoteProtocolError(`${this.#url} does not speak ${SUBPROTOCOL}`));
      return;
    }
    this.#session = new ReceiverSession({ now: this.#clock.now(), ...this.#options });
    this.#owner.opened();
    this.#flush();
  }

  /** @param {ArrayBuffer | string} data */
  #arrived(data) {
    const session = this.#session;
    if (!session) return;
    const message = typeof data === "string" ? data : new Uint8Array(data);
    this.#owner.arrived(message.length);
    try {
      this.#act(session.receive(message, this.#clock.now()));
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#leaving && !session.streams.length) {
      this.#lose(this.#leaving);
      return;
    }
    this.#flush();
  }

  /** @param {import("./session/messages.js").Message | null} event */
  #act(event) {
    switch (event?.type) {
      case "WELCOME":
        this.met = true;
        this.#owner.met();
        break;
      case "CATALOGUE":
        this.#owner.progress();
        this.#list(event);
        break;
      case "GOAWAY":
        this.#leaving = new SenderLeaving(event.wait);
        break;
      case "DATA":
        this.#owner.progress();
        this.#recipients.get(event.stream)?.take(event.payload);
        break;
      case "END": {
        this.#owner.progress();
        const recipient = this.#recipients.get(event.stream);
        this.#recipients.delete(event.stream);
        if (event.reason === "draining")
          this.#leaving ??= new LinkLost("the sender is shutting down");
        else recipient?.end(event);
        break;
      }
      case "ERROR": {
        const recipient = this.#recipients.get(event.stream);
        this.#recipients.delete(event.stream);
        recipient?.fail(peerError(event));
        break;
      }
    }
  }

  /** @param {import("./session/messages.js").Catalogue} page */
  #list(page) {
    if (this.#followed) {
      this.#followed(page);
      return;
    }
    this.#entries.push(...page.images);
    if (this.#entries.length > MOST_ENTRIES)
      throw new RemoteProtocolError(`a CATALOGUE of more than ${MOST_ENTRIES} pictures`);
    if (!page.last) return;
    const [entries, listed] = [this.#entries, this.#listed];
    this.#entries = [];
    this.#listed = null;
    // The newest come first.
    listed?.(entries.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  /** @param {{ code: number, reason: string }} event */
  #closed({ code, reason }) {
    // A browser tells neither why it could not connect nor what was answered.
    const silent =
      `nobody answers at ${this.#url}, or pages from here are refused: see that diffc-server runs ` +
      "there and knows the token, if there is one, and open the page that it serves itself" +
      letIn(this.#url);
    const said = oneLine(reason);
    if (!this.#session) this.#lose(new LinkLost(said ? `${this.#url}: ${said}` : silent));
    else if (code === GOING_AWAY) this.#lose(new LinkLost("the sender is shutting down"));
    else this.#lose(new LinkLost(`the connection to the sender was lost${said && `: ${said}`}`));
  }

  /**
   * Take a message that breaks the rules, or an end of the connection that the sender declares.
   *
   * From a peer that never said WELCOME nonsense means that it is none of ours.  Later on something
   * between the two has damaged a message, and a new connection will do.
   *
   * @param {unknown} error
   */
  #fail(error) {
    const damaged =
      error instanceof RemoteProtocolError ||
      (error instanceof PeerError && error.code === Code.PROTOCOL);
    if (!damaged && !(error instanceof PeerError) && !(error instanceof LinkLost)) throw error;
    this.#flush();
    if (damaged && this.met)
      this.#lose(new LinkLost(`the connection to the sender was damaged: ${error.message}`));
    else this.#lose(error);
  }

  #flush() {
    // One that is closing tells so only once the sender has been heard; until then it takes nothing.
    if (!this.#session || this.#socket?.readyState !== OPEN) return;
    for (const data of this.#session.transmit(this.#clock.now())) this.#socket.send(data);
    this.#watch(this.#session);
  }

  /** @param {ReceiverSession} session */
  #watch(session) {
    const next = session.nextTimeout();
    // An earlier call does no harm, so most messages need no new timer.
    if (next === null || next >= this.#wakes) return;
    this.#callOff?.();
    this.#wakes = next;
    this.#callOff = this.#clock.after(Math.max(0, next - this.#clock.now()), () => {
      this.#wakes = Infinity;
      try {
        session.handleTimeout(this.#clock.now());
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#flush();
    });
  }

  /** @param {Error} error */
  #lose(error) {
    // Whoever was told of something may have closed it.
    if (this.#over) return;
    this.#drop();
    this.#owner.lost(this.#leaving ?? error);
  }

  #drop() {
    this.#over = true;
    this.#callOff?.();
    this.#callOff = null;
    const socket = this.#socket;
    this.#socket = null;
    this.#recipients.clear();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    // Pages may not say 1002; ERROR has said it.
    socket.close(NORMAL_CLOSURE);
  }
}

/**
 * What lets pages of this site in at a sender of another one; nothing for who is of none.
 *
 * @param {string} url
 */
function letIn(url) {
  const here = globalThis.location;
  if (!here?.origin?.startsWith("http") || new URL(url).host === here.host) return "";
  return `, or start it with --origin ${here.origin}`;
}
