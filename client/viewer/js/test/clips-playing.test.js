/** Clips in a worker and on a display: what is rendered when, and what is shown of it. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Clip } from "../src/clips/clip.js";
import { ClipDecoder } from "../src/clips/decoder.js";
import { ClipPictures } from "../src/clips/pictures.js";
import { Playback } from "../src/clips/playback.js";
import { Renderings } from "../src/clips/renderings.js";
import { parseHeader } from "../src/container/grammar.js";
import { revived } from "../src/crossing.js";
import { Decoding } from "../src/decoding.js";
import { Arrival } from "../src/element/arrival.js";
import {
  CorruptStream,
  NothingDecodable,
  PictureTooLarge,
  Superseded,
  UnknownModel,
} from "../src/errors.js";
import { Turns } from "../src/turns.js";
import { bytes, golden } from "./golden.js";
import { MODELS } from "./started.js";
import { VECTORS, byScale } from "./vectors.js";

/** @typedef {import("../src/clips/pictures.js").Frame} Frame */

const STREAM = bytes(golden("clips.json").stream);

/** @param {number} [mostPixels] @param {import("../src/codec/estimator.js").Denoiser | null} [denoiser] */
function clip(mostPixels, denoiser = byScale) {
  let requests = 0;
  /** @type {Map<number, { resolve: (frame: Frame | null) => void, reject: (error: Error) => void }>} */
  const awaited = new Map();
  const pictures = new ClipPictures({
    models: /** @type {any} */ ({
      info: null,
      async get() {
        if (!denoiser) throw new UnknownModel("00000002");
        return denoiser;
      },
    }),
    turns: new Turns(),
    mostPixels,
    post: (message) => {
      if (message.type === "framed") awaited.get(message.request)?.resolve(message.frame);
      else if (message.type === "failed") {
        awaited.get(message.request)?.reject(revived(message.error));
      }
    },
  });
  return new Clip(
    1,
    (message) => {
      if (message.type === "clip") pictures.feed(message.data);
      else if (message.type === "close") pictures.close();
      else if (message.type === "priority") pictures.priority = message.priority;
    },
    (_, wish) =>
      new Promise((resolve, reject) => {
        awaited.set(++requests, { resolve, reject });
        pictures.frame({ request: requests, wish });
      }),
  );
}

/** All that is better known, until nothing is. @param {Clip} own */
async function rest(own) {
  /** @type {Frame[]} */
  const frames = [];
  for (let frame; (frame = await own.next());) frames.push(frame);
  return frames;
}

/** @param {Frame[]} frames */
function last(frames) {
  /** @type {Frame[]} */
  const shown = [];
  for (const frame of frames) for (const number of frame.numbers) shown[number] = frame;
  return shown;
}

/** @param {Uint8Array} data */
async function direct(data) {
  const decoder = new ClipDecoder(MODELS);
  await decoder.feed(data);
  return decoder;
}

describe("in a worker", () => {
  test("all pictures come to what a decoder shows of them, and then nothing more", async () => {
    const own = clip();
    own.feed(STREAM.subarray(0, 900));
    const frames = await rest(own);
    const shown = last(frames);
    const decoder = await direct(STREAM.subarray(0, 900));
    for (let number = 0; number < 6; number++) {
      assert.deepEqual(shown[number].pixels, (await decoder.render(number)).pixels);
    }
    const { clip: facts, width, height, bytes: count, bpp, predictedPsnr } = frames.at(-1) ?? {};
    assert.deepEqual([width, height, count], [61, 50, 900]);
    assert.deepEqual(facts, parseHeader(STREAM)?.header.clip);
    assert.ok(Math.abs(/** @type {number} */ (bpp) - 7200 / 18300) < 1e-9);
    assert.equal(predictedPsnr, await decoder.predictedPsnr());
    assert.equal(await own.next(), null);
    own.feed(STREAM.subarray(900, 1300));
    const more = await rest(own);
    const after = await direct(STREAM.subarray(0, 1300));
    const newest = last([...frames, ...more]);
    for (let number = 0; number < 6; number++) {
      assert.deepEqual(newest[number].pixels, (await after.render(number)).pixels);
    }
    assert.ok(more.every((frame) => frame.bytes > 900));
  });

  test("something is shown before all is decoded", async () => {
    const own = clip();
    own.feed(STREAM);
    const first = await own.next();
    assert.ok(first && first.bytes < 100);
    const frames = [first, ...(await rest(own))];
    const counts = frames.map((frame) => frame.bytes);
    assert.deepEqual(
      counts,
      [...counts].sort((a, b) => a - b),
    );
    assert.equal(counts.at(-1), STREAM.length);
  });

  test("one picture is to be had of all that is here, and all of them again", async () => {
    const own = clip();
    await assert.rejects(own.render(), NothingDecodable);
    assert.equal(await own.next(), null);
    own.feed(STREAM.subarray(0, 700));
    const small = await own.render({ number: 2, maxSide: 31 });
    assert.deepEqual([small.width, small.height, small.bytes], [31, 25, 700]);
    assert.deepEqual(small.numbers, [2]);
    const frames = await rest(own);
    assert.deepEqual(Object.keys(last(frames)), ["0", "1", "2", "3", "4", "5"]);
    const again = await own.next({ anew: true });
    assert.ok(again);
    assert.deepEqual(last([again, ...(await rest(own))])[5].pixels, last(frames)[5].pixels);
  });

  test("a damaged stream shows what was sound, and then its error", async () => {
    const damaged = STREAM.slice();
    damaged[1200] ^= 1;
    const own = clip();
    own.feed(damaged);
    /** @type {Frame[]} */
    const frames = [];
    await assert.rejects(async () => {
      for (let frame; (frame = await own.next());) frames.push(frame);
    }, CorruptStream);
    const count = frames.at(-1)?.bytes ?? 0;
    assert.ok(count > 400 && count < 1200);
    const decoder = await direct(STREAM.subarray(0, count));
    assert.deepEqual(last(frames)[3].pixels, (await decoder.render(3)).pixels);
    await assert.rejects(own.next(), CorruptStream);
  });

  test("errors are told, also of single pictures, of models and of sizes", async () => {
    const single = clip();
    single.feed(bytes(VECTORS.streams[2].data));
    await assert.rejects(single.next(), { name: "NotAClip" });
    const none = clip();
    none.feed(Uint8Array.from(Buffer.from("no stream at all")));
    await assert.rejects(none.next(), { name: "NotAStream" });
    const large = clip(18_299);
    large.feed(STREAM);
    await assert.rejects(large.next(), PictureTooLarge);
    const unknown = clip(undefined, null);
    unknown.feed(STREAM);
    await assert.rejects(unknown.next(), UnknownModel);
    const long = clip();
    long.feed(STREAM);
    for (let i = 0; i < 2; i++) long.feed(new Uint8Array(2 ** 16));
    await assert.rejects(async () => void (await rest(long)), /Error|Stream/);
  });

  test("a clip that is closed computes no more", async () => {
    let evaluations = 0;
    const own = clip(undefined, (...args) => (evaluations++, byScale(...args)));
    own.priority = 2;
    assert.equal(own.priority, 2);
    own.feed(STREAM);
    const waiting = own.next();
    own.close();
    own.close();
    await assert.rejects(waiting, Superseded);
    const before = evaluations;
    own.feed(STREAM);
    await assert.rejects(own.next(), Superseded);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(evaluations, before);
  });
});

test("pages reach clips by messages", async () => {
  /** @type {any[]} */
  const sent = [];
  /** @type {(event: any) => void} */
  let answer = () => {};
  const decoding = new Decoding({
    worker: {
      postMessage: (message) => sent.push(message),
      addEventListener: (_, listener) => (answer = listener),
    },
    runtime: { module: "file:///nowhere.mjs" },
    model: () => null,
  });
  const own = decoding.clip();
  own.feed(STREAM.subarray(0, 5));
  own.priority = 1;
  const framed = own.next({ maxSide: 40 });
  const types = sent.map(({ type }) => type);
  assert.deepEqual(types, ["configure", "clip", "priority", "frame"]);
  const { request, wish, picture } = sent[3];
  assert.deepEqual(wish, { number: null, maxSide: 40, anew: false });
  assert.equal(picture, sent[1].picture);
  answer({ data: { type: "framed", request, frame: { numbers: [1] }, info: { threads: 1 } } });
  assert.deepEqual(await framed, { numbers: [1] });
  assert.deepEqual(decoding.info(), { threads: 1 });
  own.close();
  assert.equal(sent.at(-1).type, "close");
});

describe("what becomes better known", () => {
  /** A clip that the test answers. */
  function answered() {
    /** @type {{ anew: boolean, resolve: (frame: any) => void, reject: (error: Error) => void }[]} */
    const asked = [];
    const own = /** @type {any} */ ({
      next: (/** @type {{ anew: boolean }} */ { anew }) =>
        new Promise((resolve, reject) => asked.push({ anew, resolve, reject })),
    });
    return { asked, own };
  }

  async function settled() {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  function following() {
    /** @type {string[]} */
    const told = [];
    const renderings = new Renderings({
      onframe: (frame) => told.push(`frame ${frame.numbers}`),
      onidle: () => told.push("idle"),
      onerror: (error) => told.push(error.message),
    });
    return { told, renderings };
  }

  test("is asked for until nothing is, and again when more was fed", async () => {
    const { asked, own } = answered();
    const { told, renderings } = following();
    assert.equal(renderings.computing, null);
    renderings.follow(own);
    renderings.follow(own);
    assert.ok(renderings.computing !== null);
    asked[0].resolve({ numbers: [0, 1] });
    await settled();
    renderings.more();
    asked[1].resolve(null);
    await settled();
    // More came while nothing was found.
    asked[2].resolve(null);
    await settled();
    assert.deepEqual(told, ["frame 0,1", "idle"]);
    assert.equal(renderings.computing, null);
    renderings.more();
    asked[3].resolve(null);
    await settled();
    assert.deepEqual(
      asked.map(({ anew }) => anew),
      [true, false, false, false],
    );
    assert.deepEqual(told, ["frame 0,1", "idle", "idle"]);
  });

  test("is of the clip that is followed now, from its beginning", async () => {
    const [one, other] = [answered(), answered()];
    const { told, renderings } = following();
    renderings.follow(one.own);
    renderings.follow(other.own);
    one.asked[0].resolve({ numbers: [3] });
    await settled();
    assert.equal(other.asked[0].anew, true);
    other.asked[0].resolve({ numbers: [4] });
    await settled();
    renderings.follow(null);
    other.asked[1].reject(new Superseded("it was closed"));
    await settled();
    assert.deepEqual(told, ["frame 4"]);
    assert.equal(renderings.clip, null);
  });

  test("ends with an error, until another is followed", async () => {
    const [one, other] = [answered(), answered()];
    const { told, renderings } = following();
    renderings.follow(one.own);
    one.asked[0].reject(new CorruptStream("damaged", 7));
    await settled();
    renderings.more();
    assert.equal(one.asked.length, 1);
    renderings.follow(other.own);
    other.asked[0].resolve(null);
    await settled();
    assert.deepEqual(told, ["damaged (at byte 7)", "idle"]);
  });
});

describe("playing", () => {
  const facts = { pictures: 4, milliseconds: 100, stride: 4 };

  /** @param {number[]} numbers */
  const frame = (...numbers) => /** @type {any} */ ({ clip: facts, numbers });

  /** @param {boolean} paused */
  function played(paused = false) {
    const scene = {
      now: 0,
      /** @type {(() => void) | null} */
      call: null,
      /** @type {[number, any][]} */
      drawn: [],
      /** @param {number} milliseconds */
      pass(milliseconds) {
        scene.now += milliseconds;
        const { call } = scene;
        scene.call = null;
        call?.();
      },
    };
    const display = {
      now: () => scene.now,
      request: (/** @type {() => void} */ call) => {
        scene.call = call;
        return 1;
      },
      cancel: () => void (scene.call = null),
    };
    const playback = new Playback((one, number) => scene.drawn.push([number, one]), {
      paused,
      display,
    });
    return { scene, playback };
  }

  test("goes round at the clip's rate, and shows what was rendered last", () => {
    const { scene, playback } = played();
    assert.equal(scene.call, null);
    const [all, two] = [frame(0, 1, 2, 3), frame(2)];
    playback.take(all);
    scene.pass(99);
    assert.equal(playback.number, 0);
    scene.pass(1);
    assert.equal(playback.number, 1);
    playback.take(two);
    scene.pass(250);
    assert.equal(playback.number, 3);
    scene.pass(50);
    scene.pass(200);
    assert.equal(playback.number, 2);
    // Nothing is drawn again that is there already.
    assert.deepEqual(scene.drawn, [
      [0, all],
      [2, two],
    ]);
    const better = frame(2);
    playback.take(better);
    assert.deepEqual(scene.drawn.at(-1), [2, better]);
  });

  test("stays at what is there while a picture is not", () => {
    const { scene, playback } = played();
    const zero = frame(0);
    playback.take(zero);
    scene.pass(100);
    assert.deepEqual(scene.drawn, [[0, zero]]);
    const one = frame(1);
    playback.take(one);
    assert.deepEqual(scene.drawn.at(-1), [1, one]);
  });

  test("pauses, goes on where it was, and steps", () => {
    const { scene, playback } = played(true);
    const frames = [frame(0), frame(1), frame(2), frame(3)];
    frames.forEach((one) => playback.take(one));
    assert.ok(playback.paused && scene.call === null);
    playback.play();
    playback.play();
    scene.pass(100);
    playback.pause();
    assert.equal(scene.call, null);
    scene.now += 1000;
    playback.play();
    scene.pass(50);
    assert.equal(playback.number, 1);
    playback.step(-2);
    assert.ok(playback.paused);
    assert.deepEqual(scene.drawn.at(-1), [3, frames[3]]);
    playback.play();
    playback.clear();
    assert.equal(scene.call, null);
    playback.step(1);
    assert.equal(playback.number, 0);
  });
});

describe("in an element", () => {
  async function settled() {
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** @param {{ bytes: number | null }} wanted @param {Uint8Array} data */
  function arriving(wanted, data) {
    /** @type {string[]} */
    const told = [];
    /** @type {Clip[]} */
    const clips = [];
    /** @type {import("../src/element/stream.js").Read} */
    async function* read(held, end) {
      for (let at = held.length; at < (end ?? data.length); at += 7) {
        yield { at, data: data.slice(at, Math.min(at + 7, end ?? data.length)) };
      }
    }
    let newest = 0;
    const arrival = new Arrival(
      { read, reference: () => null },
      /** @type {any} */ ({
        // Taken for a picture before its header is here.
        picture: () => ({
          feed() {},
          close: () => told.push("no picture"),
          render: () => Promise.reject(new Superseded("closed")),
        }),
        clip: () => {
          clips.push(clip());
          return clips[clips.length - 1];
        },
      }),
      { ...wanted, realism: 0.5 },
      {
        onsize: (width, height) => told.push(`${width}x${height}`),
        onshown: () => told.push("picture"),
        onframe: (frame) => (newest = frame.bytes),
        onend: () => told.push(`end ${newest}`),
        onerror: (error) => told.push(error.name),
      },
    );
    return { arrival, told, clips };
  }

  /** @param {() => boolean} there */
  async function until(there) {
    for (let i = 0; i < 2000 && !there(); i++) await settled();
  }

  test("a clip is shown as far as it is wanted, and less or more of it later", async () => {
    const { arrival, told, clips } = arriving({ bytes: 300 }, STREAM);
    await until(() => told.length > 2);
    assert.deepEqual(told.splice(0), ["no picture", "61x50", "end 300"]);
    arrival.want({ bytes: 100, realism: 0 });
    await until(() => told.length > 0);
    assert.deepEqual(told.splice(0), ["end 100"]);
    arrival.want({ bytes: 700, realism: 0 });
    await until(() => told.length > 0);
    assert.deepEqual(told.splice(0), ["end 700"]);
    assert.equal(clips.length, 2);
    arrival.close();
    await assert.rejects(clips[1].next(), Superseded);
  });

  test("what is damaged is told, and loaded again", async () => {
    const damaged = STREAM.slice();
    damaged[700] ^= 1;
    const { arrival, told, clips } = arriving({ bytes: 1500 }, damaged);
    await until(() => told.length > 2);
    assert.deepEqual(told.splice(0), ["no picture", "61x50", "CorruptStream"]);
    damaged.set(STREAM);
    arrival.again();
    await until(() => told.length > 2);
    assert.deepEqual(told.splice(0), ["no picture", "61x50", "end 1500"]);
    assert.equal(clips.length, 2);
  });

  test("too few bytes for any picture are an error", async () => {
    const { told } = arriving({ bytes: 22 }, STREAM);
    await until(() => told.length > 2);
    assert.deepEqual(told, ["no picture", "61x50", "NothingDecodable"]);
  });
});
