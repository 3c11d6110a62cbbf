/**
 * The grammar of a .dfc stream, for reading.
 *
 *     stream  = header record*
 *     header  = "DFC" kind:u8 model:4 bytes width:varint height:varint seed:varint [ratio:u8]
 *               [reference] [clip] check:u16
 *     record  = step | check | about | turn | motion | second
 *     step    = (short | long) segment (check? segment)*
 *     short   = 1 length:4 delta:3                one byte, a refinement by the trellis
 *             | 01 length:6                       one byte, an opening by the trellis
 *     long    = tag:u8 length:varint [delta:u8]
 *     segment = bytes                             lengths follow from the step's, see segments()
 *     check   = 0x30 crc:u16                      low half of the CRC32C of the bytes since the last
 *                                                 check, or since the start
 *     about   = 0x31 length:u8 facts check        versions 3 to 5, once: see docs/format.md
 *
 * The header's kind is the version, four bits, and the signal, four bits.  From version 2 on there
 * is a ratio, that of the precision field of the noise, in 255ths; the noise of version 1 is white.
 * Version 4 names the picture that the stream starts from, see reference.js; a stream of version 5
 * has several pictures, see clip.js.  The header's check is the low half of the CRC32C of the header
 * before it.
 *
 * A long step's tag is what it does (0x10 refine, 0x20 open an octave) plus its simulator; only
 * refine has a delta.  A short one says how its length and its delta compare with those of the
 * steps before it, see Before.  A check stands between two steps wherever the sender likes, and at
 * the end of a segment wherever CHECK_DUE bytes or more have gone by since the last one: so at most
 * a kilobyte goes unchecked; motions and second estimates are segments by themselves, with which 4.6
 * kB may.  Integers are little-endian; a varint holds seven bits a byte, lowest first.
 *
 * There is no end record: every stream is the beginning of a longer, better one.  The parsers
 * return null if the bytes end within the element, because more may arrive.
 *
 * @module
 */

import { crc32c } from "../crc32c.js";
import { CorruptStream, NotAStream, UnsupportedStream } from "../errors.js";
import { parseClip } from "./clip.js";
import { parseReference } from "./reference.js";
import { parseVarint } from "./varint.js";

const MAGIC = [0x44, 0x46, 0x43];
/** The version of streams whose noise is shaped. */
export const VERSION = 2;
/** The version of streams whose noise is white. */
export const VERSION_WHITE = 1;
/** The version of streams that may carry facts about their picture, with either kind of noise. */
export const VERSION_ABOUT = 3;
/** The version of streams that start from a picture that the receiver has; their noise is shaped. */
export const VERSION_REFERENCE = 4;
/** The version of streams of several pictures; their noise is shaped. */
export const VERSION_CLIP = 5;
/** Least ratio in a header: with a smaller one, noise of coarse detail would vanish in rounding. */
export const LEAST_RATIO = 64;
/** The ratio of white noise, which a header leaves out. */
export const WHITE_RATIO = 255;
/** The only kind of signal so far: three channels of 8-bit sRGB. */
export const SIGNAL_SRGB = 0;

export const CHECK_TAG = 0x30;
export const CHECK_SIZE = 3;
export const ABOUT_TAG = 0x31;
/** Bytes of facts about a picture, at least one. */
export const MOST_ABOUT = 127;
export const LONGEST_SEGMENT = 512;
export const CHECK_DUE = 500;
const SHORT_OPEN = 0x40;
const SHORT_REFINE = 0x80;
export const MAX_SIDE = 65_535;
/** A step's payload has fewer bytes than this. */
export const MAX_LENGTH = 2 ** 28;

/** What a step does to the observation. */
export const Kind = Object.freeze({ REFINE: 0x10, OPEN: 0x20 });

/** How a step's sample was coded. */
export const Simulator = Object.freeze({ TRELLIS: 0, PFR: 1, DITHER: 2 });

/**
 * The header: the model's fingerprint (8 hex digits), the picture's sides (pixels, 1 to MAX_SIDE),
 * the seed of the shared randomness (0 to 2^32 - 1), the ratio of the noise's precision field (up
 * to 1, which is white noise), whether the stream may carry facts about its picture, the picture that
 * it starts from, if there is one, and how many pictures follow one another, if there are several.
 *
 * @typedef {{ model: string, width: number, height: number, seed: number, ratio: number,
 *   about: boolean, reference: import("./reference.js").Reference | null,
 *   clip: import("./clip.js").Clip | null }} Header
 */

/**
 * The self-description of a step, in front of its payload of `length` bytes (1 to MAX_LENGTH - 1).
 * `deltaCode`, 0 to 255, is the code of the signal-to-noise ratio gained; refine only, see delta().
 *
 * @typedef {{ kind: number, simulator: number, length: number, deltaCode: number }} Step
 */

/**
 * Return the header at the start of `data` and its size.
 *
 * Throws NotAStream, UnsupportedStream or CorruptStream.
 *
 * @param {Uint8Array} data
 * @returns {{ header: Header, size: number } | null}
 */
export function parseHeader(data) {
  for (let i = 0; i < Math.min(MAGIC.length, data.length); i++) {
    if (data[i] !== MAGIC[i]) throw new NotAStream("not a .dfc stream");
  }
  if (data.length < 4) return null;
  const version = data[3] >> 4;
  const signal = data[3] & 0x0f;
  if (version < VERSION_WHITE || version > VERSION_CLIP) {
    throw new UnsupportedStream(
      `this is .dfc version ${version}; this release reads versions 1 to 5`,
    );
  }
  if (data.length < 8) return null;
  const width = parseVarint(data, 8);
  const height = width && parseVarint(data, width.place);
  const seed = height && parseVarint(data, height.place);
  if (!seed) return null;
  const named = seed.place + Number(version !== VERSION_WHITE);
  if (data.length < named) return null;
  const parsed = version === VERSION_REFERENCE ? parseReference(data, named) : undefined;
  const several = version === VERSION_CLIP ? parseClip(data, named) : undefined;
  if (parsed === null || several === null) return null;
  const end = parsed?.place ?? several?.place ?? named;
  if (data.length < end + 2) return null;
  const check = data[end] | (data[end + 1] << 8);
  if ((crc32c(data.subarray(0, end)) & 0xffff) !== check) {
    throw new CorruptStream("the header is damaged", 0);
  }
  // Only after the check, so that a damaged byte is reported as damage, not as a new signal.
  if (signal !== SIGNAL_SRGB) {
    throw new UnsupportedStream(`this stream carries signal ${signal}, which is not known here`);
  }
  const sides = [width.value, height.value];
  if (!(sides.every((side) => side >= 1 && side <= MAX_SIDE) && seed.value < 2 ** 32)) {
    throw new CorruptStream(`the header names a picture of ${width.value}x${height.value}`, 8);
  }
  const ratio = version === VERSION_WHITE ? WHITE_RATIO : data[seed.place];
  const white = ratio === WHITE_RATIO && ![VERSION_WHITE, VERSION_ABOUT].includes(version);
  if (ratio < LEAST_RATIO || white) {
    throw new CorruptStream(`the header names a ratio of ${ratio}`, seed.place);
  }
  const model = Array.from(data.subarray(4, 8), (byte) => byte.toString(16).padStart(2, "0"));
  const header = {
    model: model.join(""),
    width: width.value,
    height: height.value,
    seed: seed.value,
    ratio: ratio / WHITE_RATIO,
    about: version >= VERSION_ABOUT,
    reference: parsed?.reference ?? null,
    clip: several?.clip ?? null,
  };
  return { header, size: end + 2 };
}

/**
 * Return the step at the start of `data` and the size of its description.
 *
 * `offset` is where `data` starts in the stream, for errors.  Throws UnsupportedStream or
 * CorruptStream.
 *
 * @param {Uint8Array} data
 * @param {Before} before
 * @param {number} offset
 * @returns {{ step: Step, size: number } | null}
 */
export function parseStep(data, before, offset) {
  if (!data.length) return null;
  const tag = data[0];
  if (tag >= SHORT_OPEN) return { step: parseShort(tag, before, offset), size: 1 };
  const kind = tag & 0xf0;
  const simulator = tag & 0x0f;
  if (kind !== Kind.REFINE && kind !== Kind.OPEN) {
    throw new CorruptStream(`no record starts with 0x${tag.toString(16).padStart(2, "0")}`, offset);
  }
  if (simulator > Simulator.DITHER) {
    throw new UnsupportedStream(
      `this stream uses channel simulator ${simulator}, which is not known here`,
    );
  }
  const length = parseVarint(data, 1, offset);
  if (!length) return null;
  if (!(length.value >= 1 && length.value < MAX_LENGTH)) {
    throw new CorruptStream(`a step of ${length.value} bytes`, offset);
  }
  let size = length.place;
  let deltaCode = 0;
  if (kind === Kind.REFINE) {
    if (data.length < size + 1) return null;
    deltaCode = data[size];
    size += 1;
  }
  return { step: { kind, simulator, length: length.value, deltaCode }, size };
}

/**
 * @param {number} tag
 * @param {Before} before
 * @param {number} offset
 * @returns {Step}
 */
function parseShort(tag, before, offset) {
  const refines = tag >= SHORT_REFINE;
  const kind = refines ? Kind.REFINE : Kind.OPEN;
  const length = before.length(kind, refines ? (tag >> 3) & 0x0f : tag & 0x3f);
  const deltaCode = refines ? before.leastDelta + (tag & 0x07) : 0;
  if (length >= MAX_LENGTH || deltaCode < 0 || deltaCode > 255) {
    throw new CorruptStream(`a step of ${length} bytes`, offset);
  }
  return { kind, simulator: Simulator.TRELLIS, length, deltaCode };
}

/**
 * The state of the parser before a step; short steps are coded relative to it.
 *
 * Steps grow evenly: their lengths, and the signal-to-noise ratios that they gain, are those of
 * the step before times a little.  Integers only, so both ends agree.
 */
export class Before {
  #kind;
  #length;
  #deltaCode;

  /**
   * The kind and the payload bytes of the step before, and the code of the last refinement; the
   * defaults are the state before the first step.
   *
   * @param {number} [kind]
   * @param {number} [length]
   * @param {number} [deltaCode]
   */
  constructor(kind = Kind.REFINE, length = 12, deltaCode = 54) {
    this.#kind = kind;
    this.#length = length;
    this.#deltaCode = deltaCode;
  }

  /**
   * Return the state after `step`.
   *
   * @param {Step} step
   */
  after(step) {
    const code = step.kind === Kind.REFINE ? step.deltaCode : this.#deltaCode;
    return new Before(step.kind, step.length, code);
  }

  /**
   * Return the length of a short step of `kind` whose length is coded as `index`.
   *
   * A refinement's are 2^((i - 6) / 4) times the length before, i from 0 to 15; an opening's
   * 2^((i - 16) / 8) times, i from 0 to 63; rounded, and at least 1.
   *
   * @param {number} kind
   * @param {number} index
   */
  length(kind, index) {
    return scaled(this.#length, kind === Kind.REFINE ? 2 * index - 12 : index - 16);
  }

  /** The lowest of the eight consecutive delta codes that a short refinement can have. */
  get leastDelta() {
    return this.#deltaCode - (this.#kind === Kind.REFINE ? 0 : 8);
  }
}

/**
 * Return `length` times 2^(eighths / 8), rounded, at least 1.
 *
 * @param {number} length
 * @param {number} eighths
 */
function scaled(length, eighths) {
  const octaves = Math.floor(eighths / 8);
  const shift = 20 - octaves;
  // Below 2^28 * 2^21, hence exact.
  const product = length * EIGHTHS[eighths - 8 * octaves] + 2 ** (shift - 1);
  return Math.max(1, Math.floor(product / 2 ** shift));
}

/**
 * Yield the lengths of a payload's segments: as few as possible, equal within a byte.
 *
 * It yields them one by one, because a damaged step may claim half a million of them.
 *
 * @param {number} length
 */
export function* segments(length) {
  const count = Math.ceil(length / LONGEST_SEGMENT);
  for (let i = 0; i < count; i++) {
    yield Math.floor(((i + 1) * length) / count) - Math.floor((i * length) / count);
  }
}

// 2^(k/8) as fractions of 2^20: exact in any floating point, the same everywhere.
const EIGHTHS = [1048576, 1143480, 1246974, 1359835, 1482910, 1617125, 1763488, 1923097];

/**
 * Return the signal-to-noise ratio that `code` stands for: about 2^(code / 4 - 16).
 *
 * @param {number} code
 */
export function delta(code) {
  return (EIGHTHS[2 * (code % 4)] / 2 ** 20) * 2 ** (Math.floor(code / 4) - 16);
}
