/**
 * A connection to a sender: a WebSocket joined to a session.
 *
 * @module
 */

import { AddressError, LinkLost, PeerError, RemoteProtocolError, SenderLeaving } from "./errors.js";
import { MOST_ENTRIES } from "./listing.js";
import { oneLine } from "./session/fields.js";
import { Code, DFC1, DFC2, DFC3, DFC4, DFC5, peerError, SUBPROTOCOL } from "./session/messages.js";
import { ReceiverSession } from "./session/receiver.js";
import { OPEN_TIMEOUT, TimedSocket } from "./socket.js";

/** The prefix of a subprotocol that carries a token: pages cannot set the Authorization header. */
const OFFER = "bearer.";
const GOING_AWAY = 1001;

/** @typedef {import("./session/messages.js").Entry} Entry */
/** @typedef {import("./session/messages.js").End} End */
/** @typedef {import("./session/receiver.js").Target} Target */

/**
 * Is called when the state of a link changes.
 *
 * @typedef {object} Owner
 * @property {() => void} opened the link is open, and takes requests
 * @property {() => void} met the sender's WELCOME has arrived
 * @property {(bytes: number) => void} arrived a message of so many bytes has arrived
 * @property {() => void} progress a part of an answer has arrived
 * @property {(error: Error) => void} lost the link is lost; nothing else is called after this
 */

/**
 * Receives the events of a stream.  If the sender leaves, `end` is not called: the link is lost.
 *
 * @typedef {object} Recipient
 * @property {(payload: Uint8Array) => void} take
 * @property {(end: End) => void} end
 * @property {(error: PeerError) => void} fail
 */

/** A connection to a sender, which begins to open at once. */
export class Link {
  /** Whether the sender's WELCOME has arrived. */
  met = false;
  #url;
  #owner;
  #clock;
  #options;
  /** @type {TimedSocket | null} */
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
   * @param {Iterable<string>} options.models fingerprints of the models of this side
   * @param {import("./session/receiver.js").Terms} options.terms
   * @param {boolean} [options.references] whether streams may start from other pictures
   * @param {import("./socket.js").SocketType} options.WebSocket
   * @param {string | null} [options.token] to show, if the sender requires one
   * @param {import("./clock.js").Clock} options.clock
   * @param {Owner} owner
   */
  constructor(url, { models, terms, references, WebSocket, clock, token = null }, owner) {
    this.#url = url;
    this.#owner = owner;
    this.#clock = clock;
    const capabilities = [DFC1, DFC2, DFC3, ...(references ? [DFC4] : []), DFC5];
    this.#options = { models, terms, capabilities };
    const protocols = token === null ? [SUBPROTOCOL] : [SUBPROTOCOL, OFFER + token];
    try {
      this.#socket = new TimedSocket(
        url,
        protocols,
        { WebSocket, clock },
        {
          opened: () => this.#opened(),
          arrived: (data) => this.#arrived(data),
          closed: (event) => this.#closed(event),
          late: () => this.#lose(new LinkLost(`${url} did not answer within ${OPEN_TIMEOUT} s`)),
        },
      );
    } catch (error) {
      // Only after the constructor has returned the link to its owner.
      const said = error instanceof Error ? oneLine(error.message) : "";
      const lost = new AddressError(`${url} is no address that can be reached from here: ${said}`);
      this.#callOff = clock.after(0, () => this.#lose(lost));
    }
  }

  /** Whether the link takes requests. */
  get ready() {
    return this.#session !== null && this.#socket !== null && this.#leaving === null;
  }

  /** Whether the sender has streams of regions; false before its WELCOME. */
  get regions() {
    return this.#session?.regions ?? false;
  }

  /** Seconds from HELLO to WELCOME; null before. */
  get roundTrip() {
    return this.#session?.roundTrip ?? null;
  }

  /** Best recent rate in bytes of payload a second; null while it is unknown. */
  get capacity() {
    return this.#session?.rate ?? null;
  }

  /**
   * Ask for a picture's stream, and return its id; see ReceiverSession.open().  Requires `ready`.
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
   * Change a stream's target and weight, if it has not ended.
   *
   * @param {number} stream
   * @param {{ target: Target, weight: number }} wanted
   */
  update(stream, wanted) {
    this.#session?.update(stream, wanted);
    this.#flush();
  }

  /**
   * Tell the sender to stop a stream, if it has not ended.
   *
   * @param {number} stream
   */
  stop(stream) {
    this.#session?.stop(stream);
    this.#flush();
  }

  /**
   * Ask for the catalogue.  Requires `ready`, and that no earlier request waits for its answer.
   *
   * @param {(entries: Entry[]) => void} listed
   */
  list(listed) {
    this.#asked().list();
    this.#listed = listed;
    this.#flush();
  }

  /**
   * Ask for the catalogue and its changes, without what `mark` says is known already.  Requires
   * `ready`, and that no earlier request waits for its answer.
   *
   * After a page marked as the last, more follow if the sender is `following`; otherwise ask again.
   *
   * @param {string | null} mark
   * @param {(page: import("./session/messages.js").Catalogue) => void} followed
   */
  follow(mark, followed) {
    this.#asked().list({ follow: true, mark });
    this.#followed = followed;
    this.#flush();
  }

  /** Whether the sender sends further changes; known once the first pages of follow() are here. */
  get following() {
    return this.#session?.following ?? false;
  }

  /** Send the waiting messages and close; the owner is not called any more. */
  close() {
    this.#flush();
    this.#drop();
  }

  #asked() {
    if (!this.#session) throw new LinkLost("there is no connection yet");
    return this.#session;
  }

  #opened() {
    if (this.#socket?.protocol !== SUBPROTOCOL) {
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
    // The pages come with the newest first.
    listed?.(entries.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  /** @param {{ code: number, reason: string }} event */
  #closed({ code, reason }) {
    // Browsers give pages neither the reason of a failure nor the HTTP answer.
    const silent =
      `no answer from ${this.#url}, or pages from here are refused: see that diffc-server runs ` +
      "there and knows the token, if there is one, and open the page that it serves itself" +
      letIn(this.#url);
    const said = oneLine(reason);
    if (!this.#session) this.#lose(new LinkLost(said ? `${this.#url}: ${said}` : silent));
    else if (code === GOING_AWAY) this.#lose(new LinkLost("the sender is shutting down"));
    else this.#lose(new LinkLost(`the connection to the sender was lost${said && `: ${said}`}`));
  }

  /**
   * Handle a message that breaks the protocol, or an error with which the sender ends the
   * connection.
   *
   * Before WELCOME, a broken message shows that the peer speaks another protocol.  After it,
   * something between the two has damaged a message, and a new connection may help.
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
    if (!this.#session || !this.#socket?.open) return;
    for (const data of this.#session.transmit(this.#clock.now())) this.#socket.send(data);
    this.#watch(this.#session);
  }

  /** @param {ReceiverSession} session */
  #watch(session) {
    const next = session.nextTimeout();
    // A timer that fires too early does no harm, so most messages need no new one.
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
    // A callback may have closed it.
    if (this.#over) return;
    this.#drop();
    this.#owner.lost(this.#leaving ?? error);
  }

  #drop() {
    this.#over = true;
    this.#callOff?.();
    this.#callOff = null;
    this.#socket?.close();
    this.#socket = null;
    this.#recipients.clear();
  }
}

/**
 * Return the hint how a sender of another site admits pages of this one; empty if this is no site.
 *
 * @param {string} url
 */
function letIn(url) {
  const here = globalThis.location;
  if (!here?.origin?.startsWith("http") || new URL(url).host === here.host) return "";
  return `, or start it with --origin ${here.origin}`;
}
