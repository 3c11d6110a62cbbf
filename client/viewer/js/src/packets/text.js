/**
 * The text of packets: a stream, and a map of it by which it can be read where parts are missing.
 *
 *     text = size:varint begin:varint length:varint stream[:begin] map stream[begin:size] zero*
 *
 * The map repeats, for each record that does not end within `begin` bytes, the description of a
 * step, or the tag of a check that stands between two steps, or the tag and the length of facts.
 * It may end early.
 *
 * @module
 */

import {
  ABOUT_TAG,
  Before,
  CHECK_DUE,
  CHECK_SIZE,
  CHECK_TAG,
  parseHeader,
  parseStep,
  segments,
} from "../container/grammar.js";
import { parseVarint } from "../container/varint.js";
import { StreamError } from "../errors.js";

/** No description of a step has more bytes. */
const LONGEST = 16;

/**
 * What a text begins with: `size` bytes of stream, `begin` of them before the map of `length` bytes;
 * the stream begins at `place`.  `first` is where the map ends, and `total` the end of all.
 *
 * @typedef {{ size: number, begin: number, length: number, place: number, first: number,
 *   total: number }} Head
 */

/**
 * Return the head of a text, null if more of it has to be there.  Throws StreamError.
 *
 * @param {Uint8Array} data
 * @returns {Head | null}
 */
export function parseHead(data) {
  const size = parseVarint(data, 0);
  const begin = size && parseVarint(data, size.place);
  const length = begin && parseVarint(data, begin.place);
  if (!size || !begin || !length) return null;
  if (begin.value > size.value) throw new StreamError("packets of which no stream can be made");
  const { place } = length;
  return {
    size: size.value,
    begin: begin.value,
    length: length.value,
    place,
    first: place + begin.value + length.value,
    total: place + size.value + length.value,
  };
}

/**
 * Yield where the records of a stream stand that begins with `data`, and what they say.
 *
 * Records that `data` does not hold whole are read from `chart`, a map.  Reading ends at `end`, or
 * with nothing said, where both end or something cannot be understood.
 *
 * @param {Uint8Array} data
 * @param {Uint8Array} chart
 * @param {number} end
 * @returns {Generator<{ place: number, said: Uint8Array }, void>}
 */
export function* records(data, chart, end) {
  let [place, after, before, unchecked] = [0, 0, new Before(), 0];
  const nothing = new Uint8Array();
  try {
    place = unchecked = parseHeader(data)?.size ?? 0;
    if (!place) {
      yield { place, said: nothing };
      return;
    }
    while (place < end) {
      let said = saying(data.subarray(place, place + LONGEST), before);
      if (!said.length) {
        said = saying(chart.subarray(after, after + LONGEST), before);
        after += said.length;
      }
      yield { place, said };
      if (!said.length) return;
      if (said[0] === CHECK_TAG) {
        place += CHECK_SIZE;
        unchecked = 0;
        continue;
      }
      if (said[0] === ABOUT_TAG) {
        place += said.length + said[1] + CHECK_SIZE;
        unchecked = 0;
        continue;
      }
      const parsed = parseStep(said, before, place);
      if (!parsed) return;
      before = before.after(parsed.step);
      place += parsed.size;
      unchecked += parsed.size;
      for (const segment of segments(parsed.step.length)) {
        place += segment;
        unchecked += segment;
        if (unchecked >= CHECK_DUE) {
          place += CHECK_SIZE;
          unchecked = 0;
        }
        if (place > end) return;
      }
    }
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    yield { place, said: nothing };
  }
}

/**
 * Return what the record at the start of `data` says, nothing if that is not all there.
 *
 * @param {Uint8Array} data
 * @param {Before} before
 */
function saying(data, before) {
  if (data[0] === CHECK_TAG) return data.subarray(0, 1);
  if (data[0] === ABOUT_TAG) return data.subarray(0, data.length < 2 ? 0 : 2);
  return data.subarray(0, parseStep(data, before, 0)?.size ?? 0);
}
