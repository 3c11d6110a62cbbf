/**
 * What version 5 of the format adds: several pictures that follow one another in one stream.
 *
 *     clip   = pictures:varint milliseconds:varint stride:varint    in the header
 *     turn   = 0x32 picture:varint                                  a record
 *     motion = 0x33 source:u8 length:varint vectors                 a record
 *     second = 0x34 sources:u8 length:varint trust                  a record
 *
 * What follows a turn is about that picture; the stream begins with the first.  Every picture has a
 * chain of steps of its own, and steps are described in terms of the steps before of the same picture.
 *
 * A second estimate of the present picture is made of what is known, at that place of the stream, of
 * one or two others, its sources: the mean of their pictures, each moved by its motion.  Bit 0 of
 * `sources` is the earlier source, bit 1 the later one, see sources().  It replaces the one before, and
 * trust says how far it is to be trusted (diffusion/trust.js).  A motion says how the present picture
 * differs in place from one of its sources, 0 the earlier and 1 the later, from there on
 * (diffusion/motion.js); until then nothing has moved.
 *
 * The parsers return null if the bytes end within the element, because more may arrive.
 *
 * @module
 */

import { CorruptStream } from "../errors.js";
import { parseVarint } from "./varint.js";

export const TURN_TAG = 0x32;
export const MOTION_TAG = 0x33;
export const SECOND_TAG = 0x34;
/** Most pictures of a clip; it has at least two. */
export const MOST_PICTURES = 1024;
/** Most milliseconds that a picture is shown. */
const LONGEST = 60_000;
/** Most bytes of a motion, and of trust; there is at least one. */
const MOST_TOLD = 4096;
/** None of these records is longer than so many bytes. */
export const MOST_RECORD = 2 + 5 + MOST_TOLD;

/**
 * How many pictures a stream has (2 to MOST_PICTURES), how long each is shown (1 to LONGEST), and how
 * far pictures lie apart that start from the one before (1 to the number of pictures).
 *
 * @typedef {{ pictures: number, milliseconds: number, stride: number }} Clip
 */

/**
 * What follows is about another picture, a number from 0.
 *
 * @typedef {{ type: "turn", picture: number }} Turn
 */

/**
 * How the present picture has moved since one of its sources, 0 the earlier and 1 the later.
 *
 * @typedef {{ type: "motion", source: 0 | 1, vectors: Uint8Array }} Motion
 */

/**
 * A second estimate of the present picture, and which sources it is made of, at least one.
 *
 * @typedef {{ type: "second", earlier: boolean, later: boolean, trust: Uint8Array }} Second
 */

/**
 * Return what a header says at `place`, and the place after it.  Throws CorruptStream.
 *
 * @param {Uint8Array} data
 * @param {number} place
 * @returns {{ clip: Clip, place: number } | null}
 */
export function parseClip(data, place) {
  const pictures = parseVarint(data, place);
  const milliseconds = pictures && parseVarint(data, pictures.place);
  const stride = milliseconds && parseVarint(data, milliseconds.place);
  if (!stride) return null;
  const clip = {
    pictures: pictures.value,
    milliseconds: milliseconds.value,
    stride: stride.value,
  };
  const many = clip.pictures >= 2 && clip.pictures <= MOST_PICTURES;
  const apart = clip.stride >= 1 && clip.stride <= clip.pictures;
  if (!(many && apart && clip.milliseconds >= 1 && clip.milliseconds <= LONGEST)) {
    const { value } = milliseconds;
    throw new CorruptStream(
      `the header names ${clip.pictures} pictures of ${value} ms, ${clip.stride} apart`,
      place,
    );
  }
  return { clip, place: stride.place };
}

/** Return whether a record that starts with `tag` is one of these. @param {number} tag */
export function ofClip(tag) {
  return tag >= TURN_TAG && tag <= SECOND_TAG;
}

/**
 * Return the record at the start of `data`, of a clip of `pictures`, and its size.
 *
 * `offset` is where `data` starts in the stream, for errors.  Throws CorruptStream.
 *
 * @param {Uint8Array} data
 * @param {number} pictures
 * @param {number} offset
 * @returns {{ record: Turn | Motion | Second, size: number } | null}
 */
export function parseRecord(data, pictures, offset) {
  if (data[0] === TURN_TAG) {
    const picture = parseVarint(data, 1, offset);
    if (!picture) return null;
    const { value, place } = picture;
    if (value >= pictures) throw new CorruptStream(`picture ${value} of ${pictures}`, offset);
    return { record: { type: "turn", picture: value }, size: place };
  }
  if (data.length < 2) return null;
  const which = data[1];
  if (data[0] === MOTION_TAG) {
    if (which > 1) throw new CorruptStream(`a motion since the source ${which}`, offset);
    const told = counted(data, offset);
    const source = which ? 1 : 0;
    return told && { record: { type: "motion", source, vectors: told.bytes }, size: told.size };
  }
  if (which < 1 || which > 3) {
    throw new CorruptStream(`a second estimate of the sources ${which}`, offset);
  }
  const told = counted(data, offset);
  const [earlier, later] = [(which & 1) !== 0, (which & 2) !== 0];
  return told && { record: { type: "second", earlier, later, trust: told.bytes }, size: told.size };
}

/**
 * Return the bytes that a record has after its first two and their number, and its size.
 *
 * @param {Uint8Array} data
 * @param {number} offset
 */
function counted(data, offset) {
  const length = parseVarint(data, 2, offset);
  if (!length) return null;
  const { value, place } = length;
  if (value < 1 || value > MOST_TOLD) throw new CorruptStream(`a record of ${value} bytes`, offset);
  const size = place + value;
  return data.length < size ? null : { bytes: data.slice(place, size), size };
}

/**
 * Return the earlier and the later source of each picture of a clip, in the order of coding.
 *
 * The first picture has none.  Each picture a stride after another, and the last one, has that other
 * (for the last one, the nearest such picture before it) as its earlier source.  After each of them
 * comes the middle of the gap before it, with its ends as sources, then the middles of the halves, and
 * so on.
 *
 * @param {Pick<Clip, "pictures" | "stride">} clip
 * @returns {Map<number, [number | null, number | null]>}
 */
export function sources({ pictures, stride }) {
  /** @type {Map<number, [number | null, number | null]>} */
  const order = new Map([[0, [null, null]]]);
  for (let before = 0; before < pictures - 1;) {
    const after = Math.min(before + stride, pictures - 1);
    order.set(after, [before, null]);
    const gaps = [[before, after]];
    for (const [first, last] of gaps) {
      if (last - first < 2) continue;
      const middle = (first + last) >> 1;
      order.set(middle, [first, last]);
      gaps.push([first, middle], [middle, last]);
    }
    before = after;
  }
  return order;
}
