/**
 * The messages of the protocol (docs/protocol.md), each defined once, for writing and for reading.
 *
 * One WebSocket message (binary) is one message here:
 *
 *     control = type:u8 array                             a MessagePack array of the fields, in order
 *     data    = 0x10 stream:varint offset:varint payload crc:u32
 *
 * The array may be longer than this release knows (a newer minor version appended fields, which are
 * ignored) and shorter by fields that have a default.  Maps, byte strings and extension types do
 * not occur.  `crc` is the CRC32C of all before it, little-endian.
 *
 * @module
 */

import { crc32c } from "../crc32c.js";
import { LocalProtocolError, PeerError, RemoteProtocolError, UnknownImage } from "../errors.js";
import {
  flag,
  hex,
  integer,
  many,
  maybe,
  name,
  number,
  oneOf,
  record,
  text,
  Unfit,
} from "./fields.js";
import { pack, unpack, Unreadable } from "./packing.js";
import { MOST_CELLS } from "./region.js";
import { encodeVarint, parseVarint } from "./varint.js";

/** Token of the WebSocket handshake; another major version is refused there, over HTTP. */
export const SUBPROTOCOL = "diffc-stream.v1";
/** A newer minor version may append fields, and send new messages only to peers that know them. */
export const MINOR = 0;

/** Bytes of a message; larger ones are refused. */
export const MAX_MESSAGE = 16_384;
/** Bytes of a stream. */
export const MAX_STREAM = 2 ** 26;
/** Most bits per pixel in a target. */
export const MAX_BPP = 1000;
/** Bounds of the window: bytes of DATA payload in flight without an acknowledgement. */
export const MIN_WINDOW = 512;
export const MAX_WINDOW = 65_536;
/** Fingerprints in HELLO or WELCOME. */
export const MOST_MODELS = 16;
/** Words in HELLO or WELCOME. */
export const MOST_CAPABILITIES = 16;
/** The prefix of a capability that the peer has to understand. */
export const MUST = "!";
/** Bytes of the name of a picture, which is a path. */
export const MAX_NAME = 1000;
/** Entries in one CATALOGUE; with names of 255 bytes each, they fit a message, with longer ones fewer. */
export const ENTRIES_PER_PAGE = 50;
/** Pixels. */
export const MAX_SIDE = 65_535;
/** Decibels that may be asked for. */
export const MAX_PSNR = 100;
export const MAX_WEIGHT = 1000;

/** Known values of `capabilities`; others are ignored. */
export const DFC1 = "dfc1";
/** Streams of version 2: the noise of their observations is shaped by scale. */
export const DFC2 = "dfc2";
/** Streams of version 3: they may carry facts about the picture. */
export const DFC3 = "dfc3";
/** Streams of version 4: they may start from a picture that the receiver can have by its name. */
export const DFC4 = "dfc4";
/** Streams of version 5: they have several pictures. */
export const DFC5 = "dfc5";
/** A sender's: it can send changes of its catalogue after LIST. */
export const FOLLOW = "follow";

/** A sender's: it has streams of parts of its pictures, if OPEN asks for one. */
export const REGION = "region";

/** Known values of `code` in ERROR; a newer peer may send others. */
export const Code = Object.freeze({
  UNKNOWN_IMAGE: "unknown-image",
  UNREADABLE_IMAGE: "unreadable-image",
  UNKNOWN_MODEL: "unknown-model",
  UNKNOWN_REGION: "unknown-region",
  PREFIX_MISMATCH: "prefix-mismatch",
  UNSUPPORTED: "unsupported",
  BUSY: "busy",
  INTERNAL: "internal",
  PROTOCOL: "protocol",
  TIMEOUT: "timeout",
  UNAUTHORIZED: "unauthorized",
});

/** @typedef {"complete" | "target" | "stopped" | "draining"} Reason why a stream ended */

/**
 * A picture in the catalogue: the bytes of its file, its modification time (seconds since 1970),
 * and a hash of its contents, by which changed pictures are recognised.
 *
 * @typedef {{ name: string, size: number, time: number, thumbprint: string }} Entry
 */

/**
 * @typedef {{ type: "HELLO", minor: number, window: number, idle: number, models: string[],
 *   capabilities: string[] }} Hello
 * @typedef {{ type: "WELCOME", minor: number, window: number, idle: number, streams: number,
 *   models: string[], capabilities: string[] }} Welcome
 * @typedef {{ type: "LIST", follow: boolean, mark: string | null }} List
 * @typedef {{ type: "CATALOGUE", images: Entry[], last: boolean, changes: boolean,
 *   removed: string[], mark: string | null, left_out: number }} Catalogue
 * @typedef {{ type: "OPEN", stream: number, image: string, start: number, prefix: string | null,
 *   bytes: number | null, bpp: number | null, side: number | null, psnr: number | null,
 *   weight: number, model: string | null,
 *   region: import("./region.js").Region | null }} Open
 * @typedef {{ type: "ACK", received: number, window: number | null }} Ack
 * @typedef {{ type: "STOP", stream: number }} Stop
 * @typedef {{ type: "END", stream: number, reason: Reason, length: number, updates: number }} End
 * @typedef {{ type: "ERROR", stream: number, code: string, message: string, retry: boolean,
 *   model: string | null }} Failure
 * @typedef {{ type: "ALIVE", said: number | null }} Alive
 * @typedef {{ type: "UPDATE", stream: number, bytes: number | null, bpp: number | null,
 *   side: number | null, psnr: number | null, weight: number }} Update
 * @typedef {{ type: "GOAWAY", wait: number }} Goaway
 * @typedef {{ type: "DATA", stream: number, offset: number, payload: Uint8Array }} Data
 * @typedef {Hello | Welcome | List | Catalogue | Open | Ack | Stop | End | Failure | Alive | Update
 *   | Goaway | Data} Message
 */

const streamId = integer(1, 2 ** 31 - 1);
const size = integer(0, MAX_STREAM);
const total = integer(0, 2 ** 53);
const minor = integer(0, 255);
const window = integer(MIN_WINDOW, MAX_WINDOW);
const seconds = number(86_400);
const fingerprint = maybe(hex(8));
const mark = maybe(hex(16));
const models = many(hex(8), MOST_MODELS);
const capabilities = many(text(32), MOST_CAPABILITIES);

/** @type {Record<string, [import("./fields.js").Field, unknown]>} */
const target = {
  bytes: [maybe(integer(1, MAX_STREAM)), null],
  bpp: [maybe(number(MAX_BPP)), null],
  side: [maybe(integer(1, MAX_SIDE)), null],
  psnr: [maybe(number(MAX_PSNR)), null],
  weight: [number(MAX_WEIGHT), 1],
};

const entry = record({
  name: [name(MAX_NAME)],
  size: [total],
  time: [total],
  thumbprint: [hex(16)],
});

const region = record({
  left: [integer(0, MOST_CELLS - 1)],
  top: [integer(0, MOST_CELLS - 1)],
  width: [integer(1, MOST_CELLS)],
  height: [integer(1, MOST_CELLS)],
  size: [integer(1, MAX_STREAM)],
  digest: [hex(16)],
});

/** @type {Record<string, { kind: number, fields: ReturnType<typeof record> }>} */
const CONTROL = {
  HELLO: {
    kind: 0x01,
    fields: record({
      minor: [minor, MINOR],
      window: [window],
      idle: [seconds],
      models: [models, []],
      capabilities: [capabilities, []],
    }),
  },
  WELCOME: {
    kind: 0x02,
    fields: record({
      minor: [minor, MINOR],
      window: [window],
      idle: [seconds],
      streams: [integer(1, 1024)],
      models: [models, []],
      capabilities: [capabilities, []],
    }),
  },
  LIST: { kind: 0x03, fields: record({ follow: [flag(), false], mark: [mark, null] }) },
  CATALOGUE: {
    kind: 0x04,
    fields: record({
      images: [many(entry, ENTRIES_PER_PAGE)],
      last: [flag()],
      changes: [flag(), false],
      removed: [many(name(MAX_NAME), ENTRIES_PER_PAGE), []],
      mark: [mark, null],
      left_out: [integer(0, 2 ** 31 - 1), 0],
    }),
  },
  OPEN: {
    kind: 0x05,
    fields: record({
      stream: [streamId],
      image: [name(MAX_NAME)],
      start: [size, 0],
      prefix: [maybe(hex(16)), null],
      ...target,
      model: [fingerprint, null],
      region: [maybe(region), null],
    }),
  },
  ACK: { kind: 0x06, fields: record({ received: [total], window: [maybe(window), null] }) },
  STOP: { kind: 0x07, fields: record({ stream: [streamId] }) },
  END: {
    kind: 0x08,
    fields: record({
      stream: [streamId],
      reason: [oneOf(["complete", "target", "stopped", "draining"])],
      length: [size],
      updates: [integer(0, 2 ** 31 - 1), 0],
    }),
  },
  ERROR: {
    kind: 0x09,
    fields: record({
      stream: [integer(0, 2 ** 31 - 1)],
      code: [text(32)],
      message: [text(512)],
      retry: [flag(), false],
      model: [fingerprint, null],
      after: [maybe(seconds), null],
    }),
  },
  ALIVE: { kind: 0x0a, fields: record({ said: [maybe(total), null] }) },
  UPDATE: { kind: 0x0b, fields: record({ stream: [streamId], ...target }) },
  GOAWAY: { kind: 0x0c, fields: record({ wait: [seconds] }) },
};

const DATA = 0x10;
const CRC_SIZE = 4;

const TYPES = new Map(Object.entries(CONTROL).map(([type, { kind }]) => [kind, type]));

/**
 * Return the bytes of `message`; missing fields get their defaults.
 *
 * Throws LocalProtocolError if a field does not fit.
 *
 * @param {{ type: Message["type"], [field: string]: unknown }} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(message) {
  if (message.type === "DATA") return encodeData(/** @type {Data} */ (message));
  const { kind, fields } = CONTROL[message.type];
  try {
    return Uint8Array.from([kind, ...pack(fields.plain(message))]);
  } catch (error) {
    if (error instanceof Unfit) throw new LocalProtocolError(`${message.type}: ${error.message}`);
    throw error;
  }
}

/**
 * Return the message of these bytes.  Throws RemoteProtocolError if they are not valid.
 *
 * A payload is a part of `bytes`, not a copy.
 *
 * @param {Uint8Array} bytes
 * @returns {Message}
 */
export function decode(bytes) {
  if (!bytes.length) throw new RemoteProtocolError("an empty message");
  if (bytes.length > MAX_MESSAGE)
    throw new RemoteProtocolError(`a message of ${bytes.length} bytes, more than ${MAX_MESSAGE}`);
  if (bytes[0] === DATA) return decodeData(bytes);
  const type = TYPES.get(bytes[0]);
  if (type === undefined) {
    const kind = bytes[0].toString(16).padStart(2, "0");
    throw new RemoteProtocolError(`a message of unknown type 0x${kind}`);
  }
  const values = unpacked(bytes, type);
  try {
    return { type, ...CONTROL[type].fields.parse(values) };
  } catch (error) {
    if (error instanceof Unfit) throw new RemoteProtocolError(`${type}: ${error.message}`);
    throw error;
  }
}

/**
 * Return the exception that stands for an ERROR from the peer.
 *
 * @param {Failure} error
 */
export function peerError(error) {
  const kind = error.code === Code.UNKNOWN_IMAGE ? UnknownImage : PeerError;
  return new kind(error.code, error.message, error);
}

/** @param {Data} message */
function encodeData({ stream, offset, payload }) {
  const head = [DATA, ...encodeVarint(stream), ...encodeVarint(offset)];
  const end = head.length + payload.length;
  if (end + CRC_SIZE > MAX_MESSAGE)
    throw new LocalProtocolError(`DATA: ${payload.length} bytes do not fit a message`);
  const bytes = new Uint8Array(end + CRC_SIZE);
  bytes.set(head);
  bytes.set(payload, head.length);
  new DataView(bytes.buffer).setUint32(end, crc32c(bytes.subarray(0, end)), true);
  return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Data}
 */
function decodeData(bytes) {
  const end = bytes.length - CRC_SIZE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (end <= 0 || crc32c(bytes.subarray(0, end)) !== view.getUint32(end, true))
    throw new RemoteProtocolError("DATA: the checksum does not match");
  const [stream, middle] = parseVarint(bytes, 1, end) ?? damaged();
  const [offset, place] = parseVarint(bytes, middle, end) ?? damaged();
  if (stream < 1 || place === end || offset + end - place > MAX_STREAM)
    throw new RemoteProtocolError("DATA: stream, offset or length out of range");
  return { type: "DATA", stream, offset, payload: bytes.subarray(place, end) };
}

/** @returns {never} */
function damaged() {
  throw new RemoteProtocolError("DATA: a damaged head");
}

/**
 * @param {Uint8Array} bytes
 * @param {string} type
 */
function unpacked(bytes, type) {
  let values;
  try {
    values = unpack(bytes, 1);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw new RemoteProtocolError(`${type}: not a MessagePack array within the limits`);
  }
  if (!Array.isArray(values)) throw new RemoteProtocolError(`${type}: not an array`);
  return values;
}
