import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { MessageChannel } from "node:worker_threads";

import { Decoder } from "../src/codec/decoder.js";
import { Decoding } from "../src/decoding.js";
import { CorruptStream, PictureTooLarge, Superseded, UnknownModel } from "../src/errors.js";
import { Pictures } from "../src/pictures.js";
import { modelFile, released } from "./released.js";
import { bytes } from "./golden.js";
import { VECTORS } from "./vectors.js";

const LEARNED = VECTORS.streams[1];
const WHOLE = bytes(LEARNED.data);
/** So much of it that all octaves are open, and no more: a picture is evaluated once a step. */
const STREAM = WHOLE.subarray(0, LEARNED.offsets[10]);
const FINGERPRINT = LEARNED.data.slice(8, 16);

/** @type {Decoding[]} */
const open = [];
after(() => open.forEach((decoding) => decoding.close()));

/** Decode as in a worker, in this thread: one for all tests, since loading a model takes a second. */
function shared() {
  return open[0] ?? decoding();
}

/** @param {string[]} [known] */
function decoding(known = [FINGERPRINT]) {
  const { port1, port2 } = new MessageChannel();
  const pictures = new Pictures((message, transfer) =>
    port2.postMessage(message, /** @type {any} */ (transfer)),
  );
  port2.on("message", (message) => pictures.take(message));
  const result = new Decoding({
    worker: /** @type {any} */ (port1),
    runtime: { module: import.meta.resolve("onnxruntime-web/wasm") },
    model: (fingerprint) =>
      known.includes(fingerprint)
        ? {
            graph: modelFile(`small-${fingerprint}.onnx`),
            weights: modelFile(`small-${fingerprint}.safetensors`),
          }
        : null,
  });
  open.push(result);
  return result;
}

describe("decoding", async () => {
  const models = new Map([
    [FINGERPRINT, { fingerprint: FINGERPRINT, denoiser: await released(FINGERPRINT) }],
  ]);

  /** @param {number} size */
  async function direct(size) {
    const decoder = new Decoder(models);
    await decoder.feed(STREAM.subarray(0, size));
    return decoder;
  }

  test("a worker shows what a decoder shows, of any prefix and in any order", async () => {
    const own = shared();
    assert.equal(own.info(), null);
    const picture = own.picture();
    for (let i = 0; i < STREAM.length; i += 64) picture.feed(STREAM.subarray(i, i + 64));
    for (const size of [STREAM.length, 70, 150]) {
      const shown = await picture.render({ bytes: size });
      const decoder = await direct(size);
      const { pixels, width, height, bpp, ...told } = await decoder.render();
      assert.deepEqual(shown.pixels, pixels);
      assert.deepEqual([shown.width, shown.height, shown.bytes], [width, height, size]);
      assert.deepEqual([shown.predictedPsnr, shown.bpp], [told.predictedPsnr, bpp]);
      assert.deepEqual(shown.predictedPsnrRange, told.predictedPsnrRange);
    }
    assert.deepEqual(own.info(), { provider: "wasm", threads: 1, fallback: null });
  });

  test("going back costs an evaluation or two, looking again none", async () => {
    const picture = shared().picture();
    picture.feed(STREAM);
    await picture.render();
    const back = await picture.render({ bytes: 150 });
    assert.ok(back.evaluations <= 2);
    const again = await picture.render({ bytes: 150 });
    assert.deepEqual(again, back);
  });

  test("flow, the observation and small pictures are to be had, with progress", async () => {
    const picture = shared().picture();
    picture.feed(STREAM);
    /** @type {number[]} */
    const told = [];
    const onprogress = (/** @type {number} */ fraction) => void told.push(fraction);
    const flow = await picture.render({ method: 0.5, onprogress });
    assert.ok(told.length > 8 && told.every((value, i) => i === 0 || value >= told[i - 1]));
    assert.ok(told[told.length - 1] > 0.9 && told[told.length - 1] <= 1);
    const decoder = await direct(STREAM.length);
    assert.deepEqual(flow.pixels, (await decoder.render(0.5)).pixels);
    const seen = await picture.render({ observation: true });
    assert.deepEqual(seen.pixels, (await decoder.observation()).pixels);
    assert.equal(seen.method, "observation");
    const small = await picture.render({ maxSide: 30 });
    assert.deepEqual([small.width, small.height], [24, 16]);
  });

  test("only the newest wish is granted of those that have not begun", async () => {
    const picture = shared().picture();
    picture.feed(STREAM);
    const wishes = [60, 100, 140, 178].map((size) => picture.render({ bytes: size }));
    const results = await Promise.allSettled(wishes);
    const statuses = results.map(({ status }) => status);
    // The first may have been begun before the others were known of.
    assert.deepEqual(statuses.slice(1), ["rejected", "rejected", "fulfilled"]);
    await assert.rejects(wishes[1], Superseded);
  });

  test("who is looked at comes first", async () => {
    const own = shared();
    const [thumbnail, other, main] = [own.picture(), own.picture(), own.picture()];
    for (const picture of [thumbnail, other, main]) picture.feed(STREAM);
    main.priority = 1;
    /** @type {string[]} */
    const order = [];
    const wishes = [
      thumbnail.render().then(() => order.push("thumbnail")),
      other.render().then(() => order.push("other")),
      main.render().then(() => order.push("main")),
    ];
    await Promise.all(wishes);
    assert.deepEqual(order, ["main", "thumbnail", "other"]);
  });

  test("what is wrong is said by name, and what is good of it is shown", async () => {
    await assert.rejects(decoding([]).picture().render(), { name: "NothingDecodable" });
    const stranger = decoding([]).picture();
    stranger.feed(STREAM);
    const unknown = /** @type {UnknownModel} */ (await stranger.render().catch((error) => error));
    assert.ok(unknown instanceof UnknownModel);
    assert.equal(unknown.fingerprint, FINGERPRINT);
    const picture = shared().picture();
    const end = LEARNED.offsets.at(-1);
    picture.feed(WHOLE.subarray(0, end));
    picture.feed(Uint8Array.of(0x30, 0, 0)); // a check that does not hold
    const corrupt = /** @type {CorruptStream} */ (await picture.render().catch((error) => error));
    assert.ok(corrupt instanceof CorruptStream && corrupt.offset === end);
    assert.equal((await picture.render({ bytes: 120 })).bytes, 120);
    await assert.rejects(picture.render({ method: 2 }), { name: "RangeError" });
  });

  test("a model is loaded before a stream names it, if it is asked for", async () => {
    /** @type {string[]} */
    const known = [];
    const asked = new Promise((resolve) => {
      known.includes = (fingerprint) => (resolve(fingerprint), false);
    });
    decoding(known).load(FINGERPRINT);
    assert.equal(await asked, FINGERPRINT);
  });

  test("larger pictures than may be are refused", async () => {
    const own = shared();
    const { width, height } = /** @type {any} */ (await direct(STREAM.length)).header;
    const before = own.picture();
    before.feed(STREAM);
    own.limit(width * height - 1);
    const after = own.picture();
    after.feed(STREAM);
    await assert.rejects(after.render({ bytes: 150 }), PictureTooLarge);
    own.limit(100_000_000);
    assert.equal((await before.render({ bytes: 150 })).width, width);
  });

  test("closing ends what is wanted", async () => {
    const own = decoding();
    const picture = own.picture();
    picture.feed(STREAM);
    const wish = picture.render();
    picture.close();
    await assert.rejects(wish, Superseded);
    await assert.rejects(picture.render(), Superseded);
    const last = own.picture();
    last.feed(STREAM);
    const wanted = last.render();
    own.close();
    await assert.rejects(wanted, Superseded);
    await assert.rejects(last.render(), Superseded);
  });
});
