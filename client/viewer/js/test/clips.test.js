/** Clips: what they have in their streams, and what is shown of them, compared with Python. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { remembering } from "../src/clips/remembering.js";
import { ClipDecoder } from "../src/clips/decoder.js";
import { Curve } from "../src/codec/curve.js";
import { Decoder } from "../src/codec/decoder.js";
import { History } from "../src/codec/history.js";
import { Kind, parseHeader } from "../src/container/grammar.js";
import { sources } from "../src/container/clip.js";
import { StreamReader } from "../src/container/reader.js";
import { crc32c } from "../src/crc32c.js";
import { Motion } from "../src/diffusion/motion.js";
import { sizes } from "../src/diffusion/octaves.js";
import { CorruptStream, NotAClip, NothingDecodable, PictureTooLarge } from "../src/errors.js";
import { bytes, golden, hex } from "./golden.js";
import { alike } from "./looks.js";
import { MODELS } from "./started.js";
import { VECTORS, byScale, near, waves } from "./vectors.js";

const CLIPS = golden("clips.json");
const STREAM = bytes(CLIPS.stream);
const HEAD = /** @type {{ size: number }} */ (parseHeader(STREAM)).size;

/** Where the stream turns to another picture than the first. */
const FIRST = firstTurn();

function firstTurn() {
  const reader = new StreamReader();
  for (let at = 0; ; at++) {
    for (const { type } of reader.feed(STREAM.slice(at, at + 1))) {
      if (type === "turn") return at - 1;
    }
  }
}

/** @param {Uint8Array} data @param {import("../src/container/reader.js").Event[]} [into] */
function events(data, into = []) {
  for (const event of new StreamReader().feed(data)) into.push(event);
  return into;
}

/** The header of a stream, and these bytes after it. @param {number[]} rest */
function beginning(...rest) {
  return Uint8Array.of(...STREAM.subarray(0, HEAD), ...rest);
}

/** A header's bytes with a check that holds. @param {number[]} body */
function checked(body) {
  const crc = crc32c(Uint8Array.from(body));
  return Uint8Array.from([...body, crc & 0xff, (crc >> 8) & 0xff]);
}

/** @param {Uint8Array} data @param {{ damaged?: boolean, mostPixels?: number }} [options] */
async function decoder(data, options) {
  const made = new ClipDecoder(MODELS, options);
  await made.feed(data);
  return made;
}

describe("the container", () => {
  test("headers are read, and nothing of one that is cut", () => {
    for (const { data, sources: known, ...header } of CLIPS.headers) {
      const whole = bytes(data);
      const parsed = { header: { ...header, reference: null }, size: whole.length };
      assert.deepEqual(parseHeader(whole), parsed);
      for (let size = 0; size < whole.length; size++) {
        assert.equal(parseHeader(whole.subarray(0, size)), null);
      }
      const order = [...sources(header.clip)].map(([number, both]) => [number, ...both]);
      assert.deepEqual(order, known);
    }
  });

  test("headers of impossible clips are refused", () => {
    const start = [...bytes("44464350"), 0, 255, 10, 27, 20, 20, 0, 153];
    for (const clip of [
      [1, 40, 1],
      [0x81, 8, 40, 1],
      [3, 0, 1],
      [3, 0xe1, 0xd4, 3, 1],
      [3, 40, 0],
      [3, 40, 4],
    ]) {
      assert.throws(() => parseHeader(checked([...start, ...clip])), /the header names \d+ pic/);
    }
    assert.ok(parseHeader(checked([...start, 3, 40, 3])));
    assert.throws(
      () => parseHeader(checked([...start.slice(0, -1), 255, 3, 40, 3])),
      /ratio of 255/,
    );
  });

  test("records are read, in pieces of any size", () => {
    /** @param {import("../src/container/reader.js").Event} event */
    const told = (event) => {
      if (event.type === "motion") return { ...event, vectors: hex(event.vectors) };
      return event.type === "second" ? { ...event, trust: hex(event.trust) } : event;
    };
    for (const size of [1, 3, 500, STREAM.length]) {
      const reader = new StreamReader();
      const all = [];
      for (let place = 0; place < STREAM.length; place += size) {
        all.push(...reader.feed(STREAM.slice(place, place + size)));
      }
      const records = all.filter(({ type }) => ["turn", "motion", "second"].includes(type));
      assert.deepEqual(records.map(told), CLIPS.records);
      assert.equal(reader.offset, STREAM.length);
      assert.ok(reader.verified > HEAD);
    }
  });

  test("steps are described in terms of those of the same picture", () => {
    const first = Uint8Array.of(0x10, 40, 60, ...new Uint8Array(40));
    // Short steps: as long as the one before.
    const short = 0x80 | (6 << 3);
    const data = beginning(...first, 0x32, 3, short, ...new Uint8Array(12), 0x32, 0, short);
    const steps = events(data).flatMap((event) => (event.type === "step" ? [event.step] : []));
    assert.deepEqual(
      steps.map(({ kind, length, deltaCode }) => [kind, length, deltaCode]),
      [
        [Kind.REFINE, 40, 60],
        [Kind.REFINE, 12, 54],
        [Kind.REFINE, 40, 60],
      ],
    );
  });

  test("a check stands after records, too", () => {
    const motion = [0x33, 0, 0x80 | 100, 4, ...new Uint8Array(612)];
    assert.throws(() => events(beginning(...motion, 0x32, 1)), /a check should stand here/);
  });

  test("what makes no sense is an error of one line", () => {
    for (const [record, said] of /** @type {[number[], RegExp][]} */ ([
      [[0x32, 6], /^picture 6 of 6 \(at byte \d+\)$/],
      [[0x33, 2, 1, 0], /^a motion since the source 2/],
      [[0x33, 0, 0], /^a record of 0 bytes/],
      [[0x33, 0, 0x81, 0x20], /^a record of 4097 bytes/],
      [[0x34, 0, 1, 0], /^a second estimate of the sources 0/],
      [[0x34, 4, 1, 0], /^a second estimate of the sources 4/],
    ])) {
      assert.throws(
        () => events(beginning(...record)),
        (error) => {
          assert.ok(error instanceof CorruptStream);
          assert.match(error.message, said);
          return true;
        },
      );
    }
    // In a stream of another version there are none.
    const single = bytes(VECTORS.streams[2].data).slice(0, 14);
    for (const tag of [0x32, 0x33, 0x34]) {
      assert.throws(
        () => events(Uint8Array.of(...single, tag, 0, 1, 0)),
        /no record starts with 0x3/,
      );
    }
  });
});

describe("motions", () => {
  test("are those that Python writes", () => {
    for (const { height, width, data, down, right, moved } of CLIPS.motions) {
      const motion = Motion.parse(bytes(data), sizes({ height, width }));
      assert.deepEqual([...motion.down], down);
      assert.deepEqual([...motion.right], right);
      const x = motion.moved(waves(3 * height * width), { height, width });
      near(x, moved, 2e-6, CLIPS.every);
    }
  });

  test("of what has not moved change nothing", () => {
    const x = waves(3 * 20 * 30);
    assert.equal(
      Motion.still(sizes({ height: 20, width: 30 })).moved(x, { height: 20, width: 30 }),
      x,
    );
  });

  test("that make no sense are refused", () => {
    const of = sizes({ height: 64, width: 64 });
    for (const [data, said] of /** @type {[string, RegExp][]} */ ([
      ["00", /told only in part|too far/],
      ["0000", /moves too far/],
      ["ff", /told only in part/],
      ["6000", /something follows/],
      ["61", /something follows/],
    ])) {
      assert.throws(() => Motion.parse(bytes(data), of), { name: "RangeError", message: said });
    }
    assert.ok(Motion.parse(bytes("60"), of));
  });
});

describe("the decoder", () => {
  for (const known of CLIPS.prefixes) {
    test(`shows after ${known.bytes} bytes what Python shows`, async () => {
      const own = new ClipDecoder(MODELS);
      own.feed(STREAM.subarray(0, known.bytes >> 1));
      await own.feed(STREAM.subarray(known.bytes >> 1, known.bytes));
      assert.equal(own.bytesReceived, known.bytes);
      assert.equal(own.steps, known.steps);
      assert.equal(own.ready, known.ready);
      assert.equal(own.length, 6);
      assert.equal(own.milliseconds, 120);
      if (!known.ready) {
        await assert.rejects(own.render(0), NothingDecodable);
        await assert.rejects(own.predictedPsnr(), NothingDecodable);
        assert.equal(own.known(0), null);
        return;
      }
      for (const [number, values] of known.pictures.entries()) {
        const picture = await own.render(number);
        assert.deepEqual([picture.width, picture.height], [61, 50]);
        alike(picture, values);
      }
      // In single precision some thousandths of what tells the error.
      assert.ok(Math.abs((await own.predictedPsnr()) - known.predictedPsnr) < 1e-6);
    });
  }

  test("evaluates nothing twice", async () => {
    let evaluations = 0;
    /** @type {import("../src/codec/estimator.js").Denoiser} */
    const denoiser = (...args) => (evaluations++, byScale(...args));
    const own = new ClipDecoder(new Map([["00000002", { fingerprint: "00000002", denoiser }]]));
    await own.feed(STREAM.subarray(0, 1850));
    await own.render(2);
    const before = evaluations;
    await own.render(2);
    assert.equal(evaluations, before);
    assert.ok(own.evaluations > 0);
  });

  test("shows the nearest of which something is known", async () => {
    const own = await decoder(STREAM.subarray(0, FIRST));
    const shown = await own.render(0);
    for (let number = 1; number < 6; number++) {
      assert.deepEqual((await own.render(number)).pixels, shown.pixels);
      assert.deepEqual(own.known(number), own.known(0));
    }
    for (const number of [-1, 6, 0.5]) await assert.rejects(own.render(number), RangeError);
    const small = await own.render(3, { maxSide: 31 });
    assert.deepEqual([small.width, small.height], [31, 25]);
  });

  test("tells when a picture is better known", async () => {
    const own = new ClipDecoder(MODELS);
    const seen = new Set();
    for (let place = 0; place < 700; place += 50) {
      await own.feed(STREAM.subarray(place, place + 50));
      seen.add(own.known(5)?.state);
    }
    assert.ok(seen.size > 4 && seen.size < 14);
  });

  test("refuses single pictures, and those of single pictures clips", async () => {
    await assert.rejects(decoder(bytes(VECTORS.streams[2].data)), (error) => {
      assert.ok(error instanceof NotAClip);
      assert.equal(error.message, "the stream has a single picture");
      return true;
    });
    const message = "the stream is a clip of 6 pictures, not a single one";
    await assert.rejects(new Decoder(MODELS).feed(STREAM), { name: "NotAClip", message });
    const history = new History();
    history.feed(STREAM);
    assert.equal(history.failure?.message, message);
    const curve = new Curve();
    for (let i = 0; i < STREAM.length; i += 50) curve.feed(STREAM.subarray(i, i + 50));
    assert.deepEqual(curve.offsets, [HEAD]);
    const stride = curve.clip?.stride;
    assert.deepEqual(curve.clip, { pictures: 6, milliseconds: 120, stride });
    assert.deepEqual(curve.size, { width: 61, height: 50 });
  });

  test("refuses other models, and too many pixels in all", async () => {
    await assert.rejects(new ClipDecoder(new Map()).feed(STREAM), { name: "UnknownModel" });
    await assert.rejects(decoder(STREAM, { mostPixels: 18_299 }), (error) => {
      assert.ok(error instanceof PictureTooLarge);
      const limit = "18,300 pixels, more than the limit of 18,299 for a clip";
      assert.equal(error.message, `6 pictures of 61x50 have ${limit}`);
      return true;
    });
    await decoder(STREAM.subarray(0, 60), { mostPixels: 18_300 });
  });

  test("refuses what starts from pictures that are not there", async () => {
    const second = [0x34, 1, 3, 0x11, 0x11, 0x11];
    for (const [number, data] of /** @type {[number, number[]][]} */ ([
      [0, second],
      [4, [0x32, 4, ...second]],
      [4, [0x32, 4, 0x33, 0, 1, 0x60]],
      // There is something of the first, which is no later source of the fifth.
      [4, [...STREAM.subarray(HEAD, FIRST), 0x32, 4, 0x33, 1, 1, 0x60]],
    ])) {
      await assert.rejects(decoder(beginning(...data)), {
        name: "CorruptStream",
        message: `picture ${number} starts from one that is not there (at byte 0)`,
      });
    }
  });

  test("finds damage, or passes over it", async () => {
    const damaged = STREAM.slice();
    damaged[FIRST - 1] ^= 1; // of a payload
    await assert.rejects(decoder(damaged), CorruptStream);
    assert.ok((await decoder(damaged, { damaged: true })).damage > 0);
  });

  test("refuses what asks for too much work", async () => {
    const large = [...STREAM.subarray(0, 8), 0x80, 4, 0x80, 4, 0, 153, 6, 120, 4];
    const header = checked(large);
    const step = [0x10, 12, 54, ...new Uint8Array(12)];
    const seconds = Array.from({ length: 20 }, () => [0x34, 1, 6, ...new Array(6).fill(0x11)]);
    const data = Uint8Array.of(...header, ...step, 0x32, 4, ...seconds.flat());
    await assert.rejects(decoder(data), /more to compute than so few bytes are worth/);
  });
});

test("what failed is tried again, and no more is remembered than is needed", async () => {
  let count = 0;
  const denoiser = remembering(async (eta) => {
    count += 1;
    if (count === 1) throw new RangeError("not now");
    return eta.map((value) => 2 * value);
  });
  const size = { height: 1, width: 1 };
  const eta = (/** @type {number} */ value) => Float32Array.of(value, value, value);
  await assert.rejects(denoiser(eta(0), size, 1), /not now/);
  for (let round = 0; round < 2; round++) {
    for (let value = 0; value < 12; value++) {
      assert.deepEqual(await denoiser(eta(value), size, 1), eta(2 * value));
    }
  }
  assert.equal(count, 13);
  await denoiser(eta(0), size, 2);
  await denoiser(eta(0), size, 2, { ratio: 0.5, share: 1 });
  await denoiser(eta(11), size, 1);
  assert.equal(count, 15);
  await denoiser(eta(0), size, 1);
  assert.equal(count, 16);
});
