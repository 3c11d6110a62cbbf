/**
 * Gives the decoder's state at any byte of a stream.
 *
 * Feeding only parses, which costs next to nothing; steps are executed when a state after them is
 * asked for.  Passed links of the chain are kept, so that going back to any byte costs an
 * evaluation or two.  If they take too much memory, some are dropped, and computed again when
 * needed.
 *
 * @module
 */

import { Kind, delta } from "../container/grammar.js";
import { StreamReader } from "../container/reader.js";
import { openedSnr, refinement } from "../diffusion/observation.js";
import { area, sizes } from "../diffusion/octaves.js";
import { CorruptStream, MissingReference, NothingDecodable, StreamError } from "../errors.js";
import { admit } from "./admission.js";
import * as allowance from "./allowance.js";
import {
  MOST_PIXELS,
  chain as beginning,
  checkSingle,
  checkSize,
  referenceOf,
} from "./beginning.js";
import { MOST_STEPS } from "./curve.js";
import { trusted } from "./held.js";

/** @typedef {import("./chain.js").Chain} Chain */
/** @typedef {import("../diffusion/reference.js").ReferencePicture} ReferencePicture */
/** @typedef {import("./after.js").After} After */
/** @typedef {import("./estimator.js").Denoiser} Denoiser */
/** @typedef {import("../container/grammar.js").Header} Header */
/** @typedef {import("../container/grammar.js").Step} Step */
/** @typedef {import("../container/reader.js").Span} Span */
/** @typedef {import("../packets/stream.js").Part} Part */
/** @typedef {import("../diffusion/octaves.js").Size} Size */

/**
 * A step, the part of its payload that has arrived, what of that is lost, where the pieces of it are
 * in the stream, and the octave and the sender's snr before the step.
 *
 * @typedef {{ step: Step, payload: Uint8Array, arrived: number, lost: Span[],
 *   pieces: { at: number, size: number }[], octave: number, snr: number }} Record
 */

/**
 * With less of the sender's precision, a receiver's estimate is another one than the sender's, and
 * what the sender says of the error of its own does not help (docs/decisions/0034).
 */
const LEAST_KNOWN = 0.25;
/** A stream may be longer than its uncompressed picture by so many bytes. */
const SPARE = 2 ** 16;

/** The states of one stream, fed in pieces of any size. */
export class History {
  #reader = new StreamReader();
  /** @type {Size[]} */
  #sizes = [];
  /** @type {Record[]} */
  #records = [];
  #octave = 0;
  #snr = 0;
  #ratio = 1;
  #work = 0;
  /** @type {Map<number, Chain>} */
  #links = new Map();
  /** @type {StreamError | null} */
  #failure = null;
  /** Bytes before the first that is lost. @type {number | null} */
  #whole = null;
  /** Bytes that are lost, so far. */
  #gone = 0;

  /** The bytes after which there is a picture without a step. */
  #ready = Infinity;
  /** The picture that the stream starts from. @type {ReferencePicture | null} */
  #reference = null;
  #mostPixels;

  /** @param {number} [mostPixels] most pixels of a picture */
  constructor(mostPixels = MOST_PIXELS) {
    this.#mostPixels = mostPixels;
  }

  /** The stream's header, once it has arrived. */
  get header() {
    return this.#reader.header;
  }

  /** Bytes fed so far, and bytes skipped. */
  get received() {
    return this.#reader.received;
  }

  /** The error in the stream after the first `good` bytes; null if there is none so far. */
  get failure() {
    return this.#failure;
  }

  /** Bytes that can be rendered: all of a valid stream, else those that a check has confirmed. */
  get good() {
    return this.#failure ? this.#reader.verified : this.#reader.received;
  }

  /** Bytes of memory that the states take. */
  get bytes() {
    let sum = 0;
    for (const link of this.#links.values()) sum += link.bytes;
    return sum;
  }

  /**
   * Take more bytes of the stream; an error in them is in `failure`.
   *
   * @param {Uint8Array} data
   */
  feed(data) {
    this.#take(this.#reader.feed(data));
  }

  /**
   * Take parts of a stream, as packets gave them, instead of another history of the same stream;
   * what of that is still right is not computed again.
   *
   * @param {Part[]} parts
   * @param {History} earlier
   */
  assemble(parts, earlier) {
    for (const part of parts) {
      if (this.#failure) break;
      if (typeof part !== "number") {
        this.feed(part);
        continue;
      }
      this.#whole ??= this.received;
      this.#gone += part;
      this.#take(this.#reader.skip(part));
    }
    const { header } = this;
    if (!header || JSON.stringify(header) !== JSON.stringify(earlier.header)) return;
    this.#reference = earlier.#reference;
    for (let number = 0; ; number++) {
      const link = earlier.#links.get(number);
      if (link) this.#links.set(number, link);
      const [one, other] = [this.#records[number], earlier.#records[number]];
      if (!one || !other || !same(one, other)) return;
    }
  }

  /** @param {Iterable<import("../container/reader.js").Event>} events */
  #take(events) {
    if (this.#failure) return;
    try {
      for (const event of events) {
        if (event.type === "header") this.#begin(event.header);
        else if (event.type === "step") this.#start(event.step);
        else if (event.type === "payload") this.#grow(event.data, event.data.length);
        else if (event.type === "lost") this.#grow(null, event.size);
      }
      const limit = this.header ? 3 * this.header.width * this.header.height + SPARE : SPARE;
      if (this.received > limit) {
        throw new CorruptStream("more bytes than any picture has", limit);
      }
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#failure = error;
    }
  }

  /**
   * Find the picture that the stream starts from, if it starts from one: needed before at() and
   * newest(), once the header is here.
   *
   * Rejects with NothingDecodable before that, with PictureTooLarge, with the stream's failure if it
   * is in the header, and as `references` does.
   *
   * @param {import("./beginning.js").References} references
   */
  async prepare(references) {
    const { header } = this;
    if (!header || !this.#sizes.length) {
      throw this.#failure ?? new NothingDecodable("nothing has arrived yet");
    }
    checkSize(header, this.#mostPixels);
    this.#reference ??= await referenceOf(header, references);
  }

  /**
   * Return the state after all that has arrived, or, where so much is lost that what follows tells
   * nothing, or less than nothing, after what comes before the first gap; and of how many bytes it is.
   *
   * Rejects as at() does.
   *
   * @param {Denoiser} denoiser
   * @returns {Promise<{ chain: Chain, after: After, bytes: number }>}
   */
  async newest(denoiser) {
    const { received } = this;
    const whole = this.#whole ?? received;
    const bytes = received - this.#gone;
    if (whole === received || this.#failure || !this.#shows(whole)) {
      return { ...(await this.at(received, denoiser)), bytes };
    }
    const sure = await this.at(whole, denoiser);
    const all = await this.at(received, denoiser);
    const { chain, after } = all;
    const little = chain.sentSnr > 0 && chain.observation.snr < LEAST_KNOWN * chain.sentSnr;
    return little || after.expected.error > sure.after.expected.error
      ? { ...sure, bytes: whole }
      : { ...all, bytes };
  }

  /**
   * Return the state after the first `bytes` bytes, those that are lost counted.
   *
   * `denoiser` is that of the model, and is used from then on.  Rejects with NothingDecodable
   * before the first record, and with the stream's failure beyond the bytes that can be rendered.
   * Calls must not overlap.
   *
   * @param {number} bytes
   * @param {Denoiser} denoiser
   * @returns {Promise<{ chain: Chain, after: After }>}
   */
  async at(bytes, denoiser) {
    if (this.#failure && bytes > this.good) throw this.#failure;
    const { whole, part } = this.#place(bytes);
    if (!this.header || !this.#shows(bytes)) {
      throw new NothingDecodable("nothing can be decoded yet: no record has arrived");
    }
    let from = whole;
    while (from && !this.#links.has(from)) from--;
    let chain = this.#links.get(from) ?? this.#beginning(this.header, denoiser);
    this.#links.set(from, chain);
    for (let number = from; number < whole; number++) {
      const { step, payload, lost } = this.#records[number];
      chain.forget();
      chain = await chain.advanced(step, payload, lost);
      this.#links.set(number + 1, chain);
    }
    for (const link of this.#links.values()) if (link !== chain) link.forget();
    const record = this.#records[whole];
    const after = part
      ? await chain.after(record.step, record.payload.subarray(0, part), before(record.lost, part))
      : chain.now();
    return { chain, after };
  }

  /**
   * Return how many evaluations at() takes, in units of one at full resolution, and roughly the
   * state that it returns.
   *
   * @param {number} bytes
   */
  expected(bytes) {
    const { whole, part } = this.#place(bytes);
    let from = whole;
    while (from && !this.#links.has(from)) from--;
    let cost = 0;
    for (let number = from; number < whole + Number(part > 0); number++) {
      const known = this.#links.get(number)?.estimated || !this.#records[number].snr;
      if (!known) cost += area(this.#sizes[this.#records[number].octave]);
    }
    const record = this.#records[whole];
    const opening = part > 0 && record.step.kind === Kind.OPEN;
    const { octave, snr } = record ?? { octave: this.#octave, snr: this.#snr };
    const state = {
      octave: octave - Number(opening),
      snr: opening ? openedSnr(snr, this.#ratio) : snr,
      opening,
    };
    return { cost: cost / area(this.#sizes[0]), state, sizes: this.#sizes };
  }

  /** Drop every second state except the newest; if it is the only one, drop it too. */
  thin() {
    const numbers = [...this.#links.keys()].sort((a, b) => a - b);
    if (numbers.length === 1) this.#links.clear();
    numbers.slice(0, -1).forEach((number, i) => {
      if (i % 2 === numbers.length % 2) this.#links.delete(number);
    });
    for (const link of this.#links.values()) link.forget();
  }

  /** @param {Header} header @param {Denoiser} denoiser */
  #beginning(header, denoiser) {
    checkSize(header, this.#mostPixels);
    if (header.reference && !this.#reference) throw new MissingReference(header.reference);
    return beginning(header, denoiser, this.#reference);
  }

  /** Return whether there is a picture after so many bytes. @param {number} bytes */
  #shows(bytes) {
    const { whole, part } = this.#place(bytes);
    return bytes >= this.#ready || whole > 0 || part > 0;
  }

  /**
   * Return how many complete steps the first `bytes` bytes hold, and how many payload bytes of the
   * next.
   *
   * @param {number} bytes
   */
  #place(bytes) {
    let whole = 0;
    for (const { step, pieces } of this.#records) {
      let part = 0;
      for (const { at, size } of pieces) part += Math.min(Math.max(bytes - at, 0), size);
      if (part < step.length) return { whole, part };
      whole++;
    }
    return { whole, part: 0 };
  }

  /** @param {Header} header */
  #begin(header) {
    checkSingle(header);
    const all = sizes(header);
    if (trusted(header, all)) this.#ready = this.#reader.offset;
    this.#sizes = all;
    this.#ratio = header.ratio;
    this.#octave = this.#sizes.length - 1;
  }

  /** @param {Step} step */
  #start(step) {
    const [octave, snr, offset] = [this.#octave, this.#snr, this.#reader.offset];
    const refined = refinement(this.#sizes, octave, this.#ratio);
    admit(step, refined, snr ? this.#sizes[octave - 1] : undefined, offset);
    if (this.#records.length >= MOST_STEPS) {
      throw new CorruptStream("more steps than any picture has", offset);
    }
    allowance.check(this.#work, offset);
    this.#work += snr ? area(this.#sizes[octave]) : 0;
    const payload = new Uint8Array(step.length);
    this.#records.push({ step, payload, arrived: 0, lost: [], pieces: [], octave, snr });
    if (step.kind === Kind.OPEN) {
      this.#octave -= 1;
      this.#snr = openedSnr(this.#snr, this.#ratio);
    } else {
      this.#snr += delta(step.deltaCode);
    }
  }

  /** @param {Uint8Array | null} data null if it is lost @param {number} size */
  #grow(data, size) {
    const record = this.#records[this.#records.length - 1];
    if (data) record.payload.set(data, record.arrived);
    else record.lost.push([record.arrived, record.arrived + size]);
    record.arrived += size;
    const at = this.#reader.offset - size;
    const last = record.pieces.at(-1);
    if (last && last.at + last.size === at) last.size += size;
    else record.pieces.push({ at, size });
  }
}

/**
 * Return what of `lost` is among the first `part` bytes.
 *
 * @param {Span[]} lost
 * @param {number} part
 * @returns {Span[]}
 */
function before(lost, part) {
  return lost.filter(([first]) => first < part).map(([first, end]) => [first, Math.min(end, part)]);
}

/**
 * Tell whether two records are of the same whole step, and lack the same of it.
 *
 * @param {Record} one
 * @param {Record} other
 */
function same(one, other) {
  return (
    one.arrived === one.step.length &&
    other.arrived === one.arrived &&
    JSON.stringify([one.step, one.lost]) === JSON.stringify([other.step, other.lost]) &&
    one.payload.every((value, place) => value === other.payload[place])
  );
}
