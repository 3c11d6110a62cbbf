/** A picture of an element that arrives: what is shown of it, and when. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Arrival } from "../src/element/arrival.js";
import { LinkLost, NothingDecodable } from "../src/errors.js";
import { bytes } from "./golden.js";
import { VECTORS } from "./vectors.js";

const LEARNED = VECTORS.streams[1];
const STREAM = bytes(LEARNED.data);
/** Where the first picture is. */
const FIRST = LEARNED.offsets[1];

/** Let everything happen that waits for nothing else. */
async function settled() {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * An arrival of STREAM, which the test sends, and whose pictures it renders.
 *
 * @param {import("../src/element/arrival.js").Wanted} wanted
 */
function arriving(wanted) {
  const scene = {
    /** What was shown: bytes and realism. @type {[number, number][]} */
    shown: [],
    /** Sizes, ends and errors. @type {string[]} */
    told: [],
    /** Ranges that were asked for. @type {[number, number | null][]} */
    asked: [],
    /** Pictures that were begun anew. */
    pictures: 0,
    /** @type {(piece: { at: number, data: Uint8Array } | Error | null) => void} */
    send: () => {},
    /** Whether rendering waits, and what ends that. @type {Promise<void> | null} */
    held: null,
  };
  /** @type {import("../src/element/stream.js").Read} */
  async function* read(held, end, signal) {
    scene.asked.push([held.length, end]);
    /** @type {({ at: number, data: Uint8Array } | Error | null)[]} */
    const pieces = [];
    let wake = () => {};
    scene.send = (piece) => (pieces.push(piece), wake());
    signal.addEventListener("abort", () => wake());
    for (;;) {
      while (!pieces.length && !signal.aborted) {
        await new Promise((resolve) => (wake = () => resolve(null)));
      }
      signal.throwIfAborted();
      const piece = pieces.shift();
      if (!piece) return;
      if (piece instanceof Error) throw piece;
      yield piece;
    }
  }
  const picture = () => {
    scene.pictures += 1;
    return {
      feed() {},
      close() {},
      /** @param {{ bytes: number, method: number }} wish */
      async render({ bytes, method }) {
        await scene.held;
        if (bytes < FIRST) throw new NothingDecodable("too few");
        return { bytes, method };
      },
    };
  };
  const arrival = new Arrival(
    { read, reference: () => null },
    /** @type {any} */ ({ picture }),
    wanted,
    {
      onsize: (width, height) => scene.told.push(`${width}x${height}`),
      onshown: ({ bytes, method }) => scene.shown.push([bytes, /** @type {number} */ (method)]),
      onframe: () => assert.fail("it is no clip"),
      onend: () => scene.told.push("end"),
      onerror: (error) => scene.told.push(error.message),
    },
  );
  return { arrival, scene };
}

/** @param {number} from @param {number} to */
function piece(from, to) {
  return { at: from, data: STREAM.slice(from, to) };
}

describe("an arrival", () => {
  test("shows early pictures the cheapest way, and the last as it is wanted", async () => {
    const { scene } = arriving({ bytes: 400, realism: 0.5 });
    scene.send(piece(0, FIRST - 1));
    await settled();
    assert.deepEqual(scene.told, ["93x61"]);
    assert.equal(scene.shown.length, 0);
    scene.send(piece(FIRST - 1, 400));
    await settled();
    scene.send(null);
    await settled();
    const sizes = scene.shown.map(([size]) => size);
    assert.equal(sizes[0], FIRST);
    assert.deepEqual(
      sizes,
      [...sizes].sort((a, b) => a - b),
    );
    for (let i = 1; i < sizes.length; i++) assert.ok(sizes[i] <= 4 * sizes[i - 1]);
    assert.deepEqual(scene.shown.at(-1), [400, 0.5]);
    assert.ok(scene.shown.slice(0, -1).every(([, realism]) => realism === 0));
    assert.deepEqual(scene.told, ["93x61", "end"]);
  });

  test("goes on with more, goes back without asking, turns the dial", async () => {
    const { arrival, scene } = arriving({ bytes: 200, realism: 0 });
    scene.send(piece(0, 200));
    scene.send(null);
    await settled();
    arrival.want({ bytes: 300, realism: 0 });
    await settled();
    scene.send(piece(200, 300));
    scene.send(null);
    await settled();
    assert.deepEqual(scene.shown.at(-1), [300, 0]);
    arrival.want({ bytes: 200, realism: 0 });
    await settled();
    assert.deepEqual(scene.shown.at(-1), [200, 0]);
    arrival.want({ bytes: 200, realism: 1 });
    await settled();
    assert.deepEqual(scene.shown.at(-1), [200, 1]);
    const asked = [
      [0, 200],
      [200, 300],
    ];
    assert.deepEqual(scene.asked, asked);
    assert.equal(scene.told.filter((word) => word === "end").length, 4);
  });

  test("keeps what is here when the link is lost, and asks for the rest again", async () => {
    const { arrival, scene } = arriving({ bytes: 300, realism: 0 });
    scene.send(piece(0, 200));
    scene.send(new LinkLost("lost"));
    await settled();
    assert.deepEqual(scene.shown.at(-1), [200, 0]);
    assert.deepEqual(scene.told, ["93x61", "lost"]);
    arrival.again();
    await settled();
    scene.send(piece(200, 300));
    scene.send(null);
    await settled();
    assert.deepEqual(scene.asked.at(-1), [200, 300]);
    assert.deepEqual(scene.told.at(-1), "end");
  });

  test("begins anew with a picture that was replaced", async () => {
    const { scene } = arriving({ bytes: null, realism: 0 });
    scene.send(piece(0, 200));
    await settled();
    scene.send(piece(0, 250));
    scene.send(null);
    await settled();
    assert.equal(scene.pictures, 2);
    assert.deepEqual(scene.shown.at(-1), [250, 0]);
  });

  test("asks for all of a picture that was replaced when a link broke", async () => {
    const { arrival, scene } = arriving({ bytes: null, realism: 0 });
    scene.send(piece(0, 200));
    await settled();
    scene.send(piece(0, 0));
    scene.send(new LinkLost("no network"));
    await settled();
    assert.equal(scene.told.at(-1), "no network");
    arrival.again();
    await settled();
    assert.deepEqual(scene.asked.at(-1), [0, null]);
    scene.send(piece(0, 250));
    scene.send(null);
    await settled();
    assert.deepEqual(scene.shown.at(-1), [250, 0]);
    assert.equal(scene.pictures, 2);
  });

  test("says that there is too little, and starts again from nothing", async () => {
    const { arrival, scene } = arriving({ bytes: 10, realism: 0 });
    scene.send(piece(0, 10));
    scene.send(null);
    await settled();
    assert.equal(scene.told.at(-1), "too few");
    arrival.again();
    await settled();
    assert.deepEqual(scene.asked.at(-1), [0, 10]);
  });

  test("says nothing more once it is closed", async () => {
    const { arrival, scene } = arriving({ bytes: null, realism: 0 });
    let release = () => {};
    scene.held = new Promise((resolve) => (release = resolve));
    scene.send(piece(0, 200));
    await settled();
    arrival.close();
    release();
    scene.send(piece(200, 300));
    await settled();
    assert.equal(scene.shown.length, 0);
    assert.deepEqual(scene.told, ["93x61"]);
  });
});
