/**
 * What goes wrong between sender and receiver, named as in Python; `message` is one line for people.
 *
 *     SessionError
 *     |-- LocalProtocolError        this side used the session wrongly (a bug here)
 *     |-- RemoteProtocolError       the peer broke the protocol
 *     |-- PeerError                 the peer reported an error: `code`, `retry`, `model`
 *     |   `-- UnknownImage          ... that it has no picture of that name
 *     `-- LinkLost                  the connection could not be made, or went away
 *         `-- SenderLeaving         ... because the sender shuts down: `wait`
 *
 * @module
 */

/** Something went wrong between sender and receiver. */
export class SessionError extends Error {
  name = "SessionError";
}

/** This side asked the session for something its state does not allow. */
export class LocalProtocolError extends SessionError {
  name = "LocalProtocolError";
}

/** The peer broke the protocol. */
export class RemoteProtocolError extends SessionError {
  name = "RemoteProtocolError";
}

/** The peer reported an error; `model` is the fingerprint of a model that this side lacks. */
export class PeerError extends SessionError {
  name = "PeerError";

  /**
   * @param {string} code one of docs/protocol.md, or a newer one
   * @param {string} message
   * @param {{ retry?: boolean, model?: string | null }} [more]
   */
  constructor(code, message, { retry = false, model = null } = {}) {
    super(`the peer says: ${message} [${code}]`);
    this.code = code;
    this.retry = retry;
    this.model = model;
  }
}

/** The sender has no picture of the name asked for. */
export class UnknownImage extends PeerError {
  name = "UnknownImage";
}

/** The connection could not be made, or went away. */
export class LinkLost extends SessionError {
  name = "LinkLost";
}

/** The sender shuts down; come back after a random part of `wait` seconds. */
export class SenderLeaving extends LinkLost {
  name = "SenderLeaving";

  /** @param {number} wait seconds */
  constructor(wait) {
    super("the sender is shutting down");
    this.wait = wait;
  }
}
