/**
 * The protocol's two state machines for a receiver, as literal tables: which messages it may send
 * and receive in which state.
 *
 * A connection is a state machine, and so is every stream on it; these are the receiver's halves of
 * the tables in docs/protocol.md.  A message that is not in a table is an error: of this side when
 * sending, of the peer when receiving.  A message with a stream id passes both tables, first the
 * connection's, then the stream's; ERROR passes one: with stream 0 the connection's, otherwise that
 * stream's.
 *
 * @module
 */

import { LocalProtocolError, RemoteProtocolError } from "../errors.js";

/** @typedef {"START" | "GREETED" | "READY" | "LEAVING" | "CLOSED"} ConnectionState */
/** @typedef {"IDLE" | "OPEN" | "STOPPING" | "CLOSED"} StreamState */
/** @typedef {"sends" | "receives"} Way */

/** @type {Record<string, Record<string, ConnectionState>>} */
export const CONNECTION = {
  START: {
    "sends HELLO": "GREETED",
  },
  GREETED: {
    "sends LIST": "GREETED",
    "sends OPEN": "GREETED",
    "sends UPDATE": "GREETED",
    "sends STOP": "GREETED",
    "sends ALIVE": "GREETED",
    "sends ERROR": "CLOSED",
    "receives WELCOME": "READY",
    "receives ERROR": "CLOSED",
  },
  READY: {
    "sends LIST": "READY",
    "sends OPEN": "READY",
    "sends UPDATE": "READY",
    "sends ACK": "READY",
    "sends STOP": "READY",
    "sends ALIVE": "READY",
    "sends ERROR": "CLOSED",
    "receives CATALOGUE": "READY",
    "receives DATA": "READY",
    "receives END": "READY",
    "receives ALIVE": "READY",
    "receives GOAWAY": "LEAVING",
    "receives ERROR": "CLOSED",
  },
  LEAVING: {
    "sends UPDATE": "LEAVING",
    "sends ACK": "LEAVING",
    "sends STOP": "LEAVING",
    "sends ALIVE": "LEAVING",
    "sends ERROR": "CLOSED",
    "receives CATALOGUE": "LEAVING",
    "receives DATA": "LEAVING",
    "receives END": "LEAVING",
    "receives ALIVE": "LEAVING",
    "receives ERROR": "CLOSED",
  },
  CLOSED: {},
};

/** @type {Record<string, Record<string, StreamState>>} */
export const STREAM = {
  IDLE: {
    "sends OPEN": "OPEN",
  },
  OPEN: {
    "sends UPDATE": "OPEN",
    "sends STOP": "STOPPING",
    "receives DATA": "OPEN",
    "receives END": "CLOSED",
    "receives ERROR": "CLOSED",
  },
  STOPPING: {
    "receives DATA": "STOPPING",
    "receives END": "CLOSED",
    "receives ERROR": "CLOSED",
  },
  CLOSED: {},
};

/**
 * The states of one connection and its streams.
 *
 * Stream ids increase, so an id that is not tracked is closed if it is not above the last one: one
 * number remembers all closed streams.
 */
export class Tracker {
  /** @type {ConnectionState} */
  connection = "START";
  lastOpened = 0;
  /** @type {Map<number, StreamState>} */
  #streams = new Map();

  /** Ids of the streams that are open or stopping, oldest first. */
  get streams() {
    return [...this.#streams.keys()];
  }

  /**
   * Return the state of a stream.
   *
   * @param {number} stream
   * @returns {StreamState}
   */
  stream(stream) {
    return this.#streams.get(stream) ?? (stream <= this.lastOpened ? "CLOSED" : "IDLE");
  }

  /**
   * Change the states as `message` demands.
   *
   * Throws LocalProtocolError (sending) or RemoteProtocolError (receiving), changing nothing, if
   * the tables do not have it.
   *
   * @param {Way} way
   * @param {{ type: string, stream?: number }} message
   */
  advance(way, { type, stream = 0 }) {
    const connection =
      type === "ERROR" && stream
        ? this.connection
        : next(CONNECTION, this.connection, way, type, "the connection");
    if (stream) this.#put(stream, next(STREAM, this.stream(stream), way, type, `stream ${stream}`));
    this.connection = connection;
  }

  /**
   * @param {number} stream
   * @param {StreamState} state
   */
  #put(stream, state) {
    this.lastOpened = Math.max(this.lastOpened, stream);
    if (state === "CLOSED") this.#streams.delete(stream);
    else this.#streams.set(stream, state);
  }
}

/**
 * @template {string} S
 * @param {Record<string, Record<string, S>>} table
 * @param {S} state
 * @param {Way} way
 * @param {string} type
 * @param {string} where
 * @returns {S}
 */
function next(table, state, way, type, where) {
  const after = table[state][`${way} ${type}`];
  if (after !== undefined) return after;
  if (way === "sends") throw new LocalProtocolError(`${type} cannot be sent: ${where} is ${state}`);
  throw new RemoteProtocolError(`an unexpected ${type}: ${where} is ${state}`);
}
