/**
 * All errors that this package throws on purpose; each message is one line for users.
 *
 *     DiffcError
 *     |-- PictureTooLarge               more pixels than the limit
 *     |-- UnreadablePicture             a picture file that a stream starts from cannot be read
 *     |-- StreamError                   the bytes of a stream cannot be used
 *     |   |-- NotAStream                    they do not start like a .dfc stream
 *     |   |-- NotAClip                      a single picture where several were wanted, or the reverse
 *     |   |-- UnsupportedStream             a newer version, or a signal that is not known here
 *     |   |   `-- UnsupportedSimulator          coded in a way that only the Python receiver reads
 *     |   |-- CorruptStream                 a check failed, or a field is out of its range
 *     |   `-- NothingDecodable              too short: not even a first record has arrived
 *     |-- ModelError
 *     |   |-- UnknownModel                  the stream needs a model that is not available
 *     |   `-- ModelUnavailable              its files could not be loaded, or cannot be run
 *     |-- MissingReference              a stream starts from a picture that is not here
 *     |-- AddressError                  not the address of a sender
 *     |-- Superseded                    a newer request replaced this one, or it was cancelled
 *     `-- SessionError                  the connection or the protocol failed
 *         |-- LocalProtocolError            this side used the session wrongly
 *         |-- RemoteProtocolError           the peer broke the protocol
 *         |-- PeerError                     the peer reported an error: code, retry, model
 *         |   `-- UnknownImage              ... that it has no picture of that name
 *         `-- LinkLost                      the connection failed, or was lost
 *             `-- SenderLeaving             ... because the sender shuts down: wait
 *
 * Truncation is not an error: a stream cut anywhere decodes to what has arrived.
 *
 * @module
 */

/** Base of all errors that are thrown on purpose. */
export class DiffcError extends Error {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A picture with more pixels than the limit. */
export class PictureTooLarge extends DiffcError {}

/** A picture file cannot be read. */
export class UnreadablePicture extends DiffcError {}

/** Bytes that should be a .dfc stream cannot be used. */
export class StreamError extends DiffcError {}

/** The bytes do not start like a .dfc stream. */
export class NotAStream extends StreamError {}

/** The stream has a single picture where one of several was wanted, or the reverse. */
export class NotAClip extends StreamError {}

/** A stream of a version or signal that this release does not know. */
export class UnsupportedStream extends StreamError {}

/** A stream whose samples are coded in a way that this package does not know. */
export class UnsupportedSimulator extends UnsupportedStream {
  /** @param {string} simulator */
  constructor(simulator) {
    super(`this stream was made with ${simulator}; the Python receiver reads it`);
    this.simulator = simulator;
  }
}

/** A check failed or a field is out of range; `offset` says where (bytes from the start). */
export class CorruptStream extends StreamError {
  /** @param {string} message @param {number} offset */
  constructor(message, offset) {
    super(`${message} (at byte ${offset})`);
    this.offset = offset;
  }
}

/** The stream ends before there is anything to decode. */
export class NothingDecodable extends StreamError {}

/** A model is missing or unusable. */
export class ModelError extends DiffcError {}

/** A stream needs a model that is not available. */
export class UnknownModel extends ModelError {
  /** @param {string} fingerprint */
  constructor(fingerprint) {
    super(`this stream needs the model ${fingerprint}, which is not here`);
    this.fingerprint = fingerprint;
  }
}

/** The files of a model could not be loaded, or cannot be run. */
export class ModelUnavailable extends ModelError {}

/** A stream starts from a picture that is not here; `reference` has its name, size and digest. */
export class MissingReference extends DiffcError {
  /** @param {import("./container/reference.js").Named} reference @param {string} [why] */
  constructor({ name, size, digest }, why) {
    // Names come from outside.
    const known = name.replace(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, "?");
    super(
      `this stream starts from a picture that is not here (${known && `${known}, `}` +
        `${size.toLocaleString("en")} bytes whose SHA-256 begins with ${digest})` +
        (why ? `: ${why}` : ""),
    );
    this.reference = { name, size, digest };
  }
}

/** Not the address of a sender. */
export class AddressError extends DiffcError {}

/** A newer request replaced this one, or its caller cancelled it. */
export class Superseded extends DiffcError {}

/** Something went wrong between sender and receiver. */
export class SessionError extends DiffcError {}

/** This side asked the session for something that its state does not allow. */
export class LocalProtocolError extends SessionError {}

/** The peer broke the protocol. */
export class RemoteProtocolError extends SessionError {}

/** The peer reported an error; `model` is the fingerprint of a model that this side lacks. */
export class PeerError extends SessionError {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ retry?: boolean, model?: string | null, after?: number | null }} [details] `after`:
   *   seconds after which to ask again
   */
  constructor(code, message, { retry = false, model = null, after = null } = {}) {
    super(`the peer says: ${message} [${code}]`);
    this.code = code;
    this.retry = retry;
    this.model = model;
    this.after = after;
  }
}

/** The sender has no picture of the name asked for. */
export class UnknownImage extends PeerError {}

/** The connection could not be made, or was lost. */
export class LinkLost extends SessionError {
  /**
   * @param {string} message
   * @param {ErrorOptions & { after?: number | null }} [options] `after`: seconds after which to try
   *   again, if the other side says so
   */
  constructor(message, { after = null, ...options } = {}) {
    super(message, options);
    this.after = after;
  }
}

/** The sender shuts down; reconnect after a random part of `wait` seconds. */
export class SenderLeaving extends LinkLost {
  /** @param {number} wait */
  constructor(wait) {
    super("the sender is shutting down");
    this.wait = wait;
  }
}
