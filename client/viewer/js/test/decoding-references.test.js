/** Pictures in a worker whose streams start from pictures. */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { MessageChannel } from "node:worker_threads";

import { Decoder } from "../src/codec/decoder.js";
import { Decoding } from "../src/decoding.js";
import { MissingReference, UnknownModel } from "../src/errors.js";
import { Pictures } from "../src/pictures.js";
import { references } from "../src/references.js";
import { PrefixHash } from "../src/session/prefix.js";
import { bytes } from "./golden.js";
import { modelFile, released } from "./released.js";
import { startingFrom } from "./started.js";
import { VECTORS } from "./vectors.js";

const LEARNED = VECTORS.streams[1];
const MODEL = LEARNED.data.slice(8, 16);
/** So little of a stream that few evaluations show it. */
const FIRST = bytes(LEARNED.data).subarray(0, LEARNED.offsets[5]);
const SECOND = startingFrom(MODEL, "first.dfc", FIRST);
const THIRD = startingFrom(
  MODEL,
  "second.dfc",
  startingFrom(MODEL, "zero", bytes("00".repeat(200))),
);

/** Decode as in a worker, in this thread. */
function decoding() {
  const { port1, port2 } = new MessageChannel();
  const pictures = new Pictures((message, transfer) =>
    port2.postMessage(message, /** @type {any} */ (transfer)),
  );
  port2.on("message", (message) => pictures.take(message));
  return new Decoding({
    worker: /** @type {any} */ (port1),
    runtime: { module: import.meta.resolve("onnxruntime-web/wasm") },
    model: (fingerprint) =>
      fingerprint === MODEL
        ? {
            graph: modelFile(`small-${MODEL}.onnx`),
            weights: modelFile(`small-${MODEL}.safetensors`),
          }
        : null,
  });
}

describe("a worker", async () => {
  const own = decoding();
  after(() => own.close());

  test("asks for what a stream starts from once, and shows what a decoder shows", async () => {
    /** @type {string[]} */
    const asked = [];
    /** @param {import("../src/index.js").Named} named */
    const reference = ({ name, size, digest }) => {
      asked.push(name);
      assert.deepEqual([size, digest], [FIRST.length, String(new PrefixHash(FIRST))]);
      // More of it may be there than is needed.
      return bytes(LEARNED.data);
    };
    const picture = own.picture({ reference });
    picture.feed(SECOND.subarray(0, 30));
    await assert.rejects(picture.render(), { name: "NothingDecodable" });
    picture.feed(SECOND.subarray(30));
    const shown = await picture.render();
    const models = new Map([[MODEL, { fingerprint: MODEL, denoiser: await released(MODEL) }]]);
    const decoder = new Decoder(models, { references: references(models, () => FIRST) });
    await decoder.feed(SECOND);
    const known = await decoder.render();
    assert.deepEqual(shown.pixels, known.pixels);
    assert.equal(shown.predictedPsnr, known.predictedPsnr);
    assert.deepEqual([shown.bytes, shown.snr, shown.octave], [SECOND.length, 0, 2]);
    const again = own.picture({ reference });
    again.assemble([SECOND]);
    assert.deepEqual((await again.render()).pixels, shown.pixels);
    assert.deepEqual(asked, ["first.dfc"]);
  });

  test("says which picture is missing, and asks again when it is to show it again", async () => {
    const digest = String(new PrefixHash(FIRST));
    const missing = { name: "first.dfc", size: FIRST.length, digest };
    const other = FIRST.slice();
    other[70] ^= 1;
    const fresh = decoding();
    after(() => fresh.close());
    /** @type {(() => Uint8Array | null)[]} */
    const answers = [
      () => null,
      () => other,
      () => FIRST.subarray(1),
      () => {
        throw new TypeError("no such file");
      },
    ];
    const picture = fresh.picture({ reference: () => answers[0]() });
    picture.feed(SECOND);
    while (answers.length) {
      const error = /** @type {any} */ (await picture.render().catch((error) => error));
      assert.ok(error instanceof MissingReference);
      assert.deepEqual(error.reference, missing);
      answers.shift();
    }
    const none = fresh.picture();
    none.feed(SECOND);
    await assert.rejects(none.render(), MissingReference);
  });

  test("says what is wrong with what a stream starts from", async () => {
    const zero = startingFrom(MODEL, "zero", bytes("00".repeat(200)));
    const third = own.picture({ reference: ({ name }) => (name === "second.dfc" ? zero : null) });
    third.feed(THIRD);
    const error = /** @type {any} */ (await third.render().catch((error) => error));
    assert.ok(error instanceof MissingReference);
    assert.equal(error.reference.name, "zero");
    const stranger = Uint8Array.from(FIRST);
    stranger[4] ^= 1;
    const fourth = own.picture({ reference: () => stranger });
    fourth.feed(startingFrom(MODEL, "x", stranger));
    // Its header does not hold any more.
    await assert.rejects(fourth.render(), { name: "CorruptStream" });
    const unknown = own.picture({ reference: () => FIRST });
    unknown.feed(startingFrom("00000001", "x", FIRST));
    await assert.rejects(unknown.render(), UnknownModel);
    const image = bytes("89504e47".repeat(50));
    const unreadable = own.picture({ reference: () => image });
    unreadable.feed(startingFrom(MODEL, "x.png", image));
    await assert.rejects(unreadable.render(), { name: "UnreadablePicture" });
  });

  test("asks once for what several pictures wait for, again if the first is closed", async () => {
    const file = FIRST.subarray(0, FIRST.length - 1);
    /** @type {((data: Uint8Array | null) => void)[]} */
    const answers = [];
    let begun = () => {};
    const reference = () =>
      new Promise((/** @type {(data: Uint8Array | null) => void} */ resolve) => {
        answers.push(resolve);
        begun();
      });
    const pictures = Array.from({ length: 3 }, () => own.picture({ reference }));
    const asked = () => new Promise((resolve) => (begun = () => resolve(null)));
    const first = asked();
    const wishes = pictures.map((picture) => {
      picture.feed(startingFrom(MODEL, "shared.dfc", file));
      return picture.render();
    });
    await first;
    const second = asked();
    pictures[0].close();
    answers[0](null);
    await assert.rejects(wishes[0], { name: "Superseded" });
    await second;
    answers[1](file);
    const [one, other] = await Promise.all(wishes.slice(1));
    assert.deepEqual(one.pixels, other.pixels);
    assert.equal(answers.length, 2);
  });

  test("says when nobody waits for a picture any more", async () => {
    let begun = () => {};
    const asked = new Promise((resolve) => (begun = () => resolve(null)));
    /** @type {AbortSignal | undefined} */
    let waiting;
    const picture = own.picture({
      reference: (_, signal) => {
        waiting = signal;
        begun();
        return new Promise((resolve) =>
          signal?.addEventListener("abort", () => resolve(null), { once: true }),
        );
      },
    });
    picture.feed(startingFrom(MODEL, "slow.dfc", FIRST.subarray(1)));
    const wish = picture.render();
    await asked;
    assert.equal(waiting?.aborted, false);
    picture.close();
    assert.equal(waiting?.aborted, true);
    await assert.rejects(wish, { name: "Superseded" });
  });
});
