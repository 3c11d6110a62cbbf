/**
 * The grammar of packets, for reading; docs/packets.md describes it.
 *
 *     packet  = kind:u8 stream:u16 place:u16 check:u16 body
 *     piece   = packet with kind 0xd1: place is the piece's number, body the piece
 *     repair  = packet with kind 0xd2: place is draw:u8 window:u8, body a sum of pieces
 *     station = packet with kind 0xd3: stream and place are 0, body is text in UTF-8
 *
 * Integers are little-endian.  The check is the low half of the CRC32C of the packet without it.
 *
 * @module
 */

import { crc32c } from "../crc32c.js";

/** Bytes of a packet before its body. */
export const HEAD = 7;
export const SMALLEST = 64;
export const LARGEST = 1400;
/** The most pieces that a repair sums up. */
const WIDEST = 128;
/** How many repairs of a window differ. */
const DRAWS = 128;
const LONGEST_STATION = 57;

export const Kind = Object.freeze({ PIECE: 0xd1, REPAIR: 0xd2, STATION: 0xd3 });

/**
 * `stream` is the number of the stream that it is of, `place` that of a piece; `draw` and `window`
 * are those of a repair, which sums up as many pieces as its window says.
 *
 * @typedef {{ kind: number, stream: number, place: number, draw: number, window: number,
 *   body: Uint8Array }} Packet
 */

/**
 * Return the packet of these bytes; null unless they are all of one, as it was sent.
 *
 * @param {Uint8Array} data
 * @returns {Packet | null}
 */
export function parsePacket(data) {
  if (!(data.length > HEAD && data.length <= LARGEST)) return null;
  const kind = data[0];
  const stream = data[1] | (data[2] << 8);
  const place = data[3] | (data[4] << 8);
  const body = data.slice(HEAD);
  if ((crc32c(body, crc32c(data.subarray(0, 5))) & 0xffff) !== (data[5] | (data[6] << 8))) {
    return null;
  }
  const [draw, window] = [place & 0xff, place >> 8];
  const packet = { kind, stream, place, draw, window, body };
  if (kind === Kind.STATION) {
    return stream || place || body.length > LONGEST_STATION ? null : packet;
  }
  if (data.length < SMALLEST) return null;
  if (kind === Kind.PIECE) return packet;
  return kind === Kind.REPAIR && window >= 1 && window <= WIDEST && draw < DRAWS ? packet : null;
}
