/** Regions are received one at a time, and laid over the whole picture where they are better. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { NothingDecodable, PeerError } from "../src/errors.js";
import { Regions } from "../src/regions.js";
import { covering, pixels } from "../src/session/region.js";
import { turn } from "./network.js";

const SIZE = { width: 70, height: 64 };
const LEFT = { left: 0, top: 0, width: 32, height: 64 };
const CORNER = { left: 65, top: 60, width: 1, height: 1 };
const WHOLE = Uint8Array.of(0x44, 0x46, 0x43, 0x40, 1, 2, 3, 0xab, 9);

/**
 * A rendered picture of one value.
 *
 * @param {number} value
 * @param {{ width: number, height: number }} size
 * @param {Partial<import("../src/pictures.js").Shown>} [facts]
 * @returns {any}
 */
function shown(value, { width, height }, facts = {}) {
  const pixels = new Uint8ClampedArray(4 * width * height).fill(value);
  return { pixels, width, height, method: 0, bpp: 0.2, predictedPsnr: 25, ...facts };
}

/** A delivery whose pieces a test gives. */
class Delivered {
  /** @type {any[]} */ #queue = [];
  #wake = () => {};
  stopped = false;
  /** What still comes once it is stopped. @type {any[]} */ flying = [];
  /** @type {string} */ reason = "target";

  get ended() {
    return Promise.resolve({ reason: this.reason, length: 0 });
  }

  /** @param {any} one a piece; an error, or null for the end */
  give(one) {
    this.#queue.push(one);
    this.#wake();
  }

  stop() {
    this.stopped = true;
    this.reason = "stopped";
    for (const one of [...this.flying, null]) this.give(one);
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (!this.#queue.length)
        await new Promise((resolve) => (this.#wake = () => resolve(null)));
      const one = this.#queue.shift();
      if (one === null) return;
      if (one instanceof Error) throw one;
      yield one;
    }
  }
}

/** A sender and a worker that do as they are told. */
class Scene {
  /** @type {{ options: any, delivery: Delivered }[]} */ opened = [];
  /** @type {any[]} */ pictures = [];
  changes = 0;
  regions;

  constructor() {
    /** @type {any} */
    const sender = {
      open: (/** @type {string} */ name, /** @type {any} */ options) => {
        assert.equal(name, "a.png");
        const delivery = new Delivered();
        this.opened.push({ options, delivery });
        return delivery;
      },
    };
    /** @type {any} */
    const decoding = {
      picture: (/** @type {any} */ { reference }) => {
        const picture = {
          ...{ reference, fed: 0, closed: false, next: null, wishes: /** @type {any[]} */ ([]) },
          feed: (/** @type {Uint8Array} */ piece) => (picture.fed += piece.length),
          render: async (/** @type {any} */ wish) => {
            picture.wishes.push(wish);
            if (picture.next === null) throw new NothingDecodable("too few");
            return picture.next;
          },
          close: () => (picture.closed = true),
        };
        this.pictures.push(picture);
        return picture;
      },
    };
    this.regions = new Regions("a.png", sender, decoding, async () => Uint8Array.of(7));
    this.regions.addEventListener("change", () => (this.changes += 1));
  }

  /** Give a piece of the newest region that is rendered so. @param {any} rendered */
  async give(rendered, size = 10) {
    this.pictures.at(-1).next = rendered;
    this.opened.at(-1)?.delivery.give(new Uint8Array(size));
    await settle();
  }
}

async function settle() {
  for (let i = 0; i < 5; i++) await turn();
}

/** The values in the middle of the left part and in the corner. @param {any} picture */
function seen({ pixels }) {
  return [pixels[4 * (5 * SIZE.width + 5)], pixels[4 * (63 * SIZE.width + 66)]];
}

test("cells that cover a rectangle", () => {
  assert.deepEqual(covering(LEFT, 70, 64), { left: 0, top: 0, width: 1, height: 2 });
  const cells = covering(CORNER, 70, 64);
  assert.deepEqual(cells, { left: 2, top: 1, width: 1, height: 1 });
  assert.deepEqual(cells && pixels(cells, 70, 64), { left: 64, top: 32, width: 6, height: 32 });
  for (const wrong of [
    { ...LEFT, left: -1 },
    { ...LEFT, top: 1 },
    { ...LEFT, width: 0 },
    { ...LEFT, height: -5 },
    { ...LEFT, width: 71 },
    { ...LEFT, width: 1e12 },
    { ...LEFT, left: 0.5 },
    { ...LEFT, left: NaN },
  ])
    assert.equal(covering(wrong, 70, 64), null);
});

test("what a region brings is laid over the whole picture", async () => {
  const scene = new Scene();
  const base = shown(1, SIZE);
  scene.regions.sharpen({ left: 3, top: 3, width: 20, height: 50 }, WHOLE, SIZE);
  const { options } = scene.opened[0];
  assert.deepEqual(
    { ...options, region: { ...options.region, digest: options.region.digest.length } },
    {
      ...{ psnr: 36, weight: 100, model: "010203ab", held: new Uint8Array() },
      region: { left: 0, top: 0, width: 1, height: 2, size: WHOLE.length, digest: 16 },
    },
  );
  await scene.give(null);
  assert.equal(scene.regions.over(base), base);
  await scene.give(shown(10, LEFT, { bpp: 0.1, predictedPsnr: 28 }));
  assert.deepEqual(seen(scene.regions.over(base)), [10, 1]);
  assert.deepEqual(seen(base), [1, 1]);
  assert.equal(scene.regions.newest?.length, 20);
  // Of another dial, and nothing over the observation.
  scene.regions.method = 0.5;
  await settle();
  assert.deepEqual(scene.pictures[0].wishes.at(-1), { method: 0.5 });
  const observation = shown(1, SIZE, { method: "observation" });
  assert.equal(scene.regions.over(observation), observation);
  scene.opened[0].delivery.give(null);
  await settle();
  assert.equal(scene.regions.newest?.state, "target");
});

test("what it starts from is what was held, or is found", async () => {
  const scene = new Scene();
  scene.regions.sharpen(LEFT, WHOLE, SIZE);
  const { region } = scene.opened[0].options;
  const { reference } = scene.pictures[0];
  assert.deepEqual(await reference({ name: "", size: region.size, digest: region.digest }), WHOLE);
  const other = { name: "b.png.dfc", size: 1, digest: "0".repeat(16) };
  assert.deepEqual(await reference(other), Uint8Array.of(7));
});

test("the next region ends the one before, which stays, and goes on when asked again", async () => {
  const scene = new Scene();
  const base = shown(1, SIZE);
  scene.regions.sharpen(LEFT, WHOLE, SIZE);
  await scene.give(shown(10, LEFT, { predictedPsnr: 28 }));
  scene.regions.sharpen(CORNER, WHOLE, SIZE, { bytes: 90 });
  assert.equal(scene.opened[1].options.bytes, 90);
  assert.ok(scene.opened[0].delivery.stopped);
  assert.ok(scene.pictures[0].closed);
  await scene.give(shown(20, { width: 6, height: 32 }, { predictedPsnr: 28 }));
  assert.deepEqual(seen(scene.regions.over(base)), [10, 20]);
  scene.regions.sharpen({ ...LEFT, left: 2, width: 4 }, new Uint8Array(99), SIZE);
  assert.deepEqual(scene.opened[2].options.region, scene.opened[0].options.region);
  assert.equal(scene.opened[2].options.held.length, 10);
  assert.equal(scene.pictures.at(-1).fed, 10);
  await scene.give(shown(11, LEFT, { predictedPsnr: 30 }));
  assert.deepEqual(seen(scene.regions.over(base)), [11, 20]);
  scene.regions.stop();
  assert.equal(scene.regions.newest, null);
  assert.deepEqual(seen(scene.regions.over(base)), [11, 20]);
  scene.regions.clear();
  assert.equal(scene.regions.over(base), base);
});

for (const between of [false, true])
  test(`a region that is asked for again comes once, ${between ? "another between" : "at once"}`, async () => {
    const scene = new Scene();
    const sizes = () => [scene.regions.newest?.length, scene.pictures.at(-1).fed];
    scene.regions.sharpen(LEFT, WHOLE, SIZE);
    await scene.give(shown(10, LEFT));
    const first = scene.opened[0].delivery;
    first.flying = [new Uint8Array(5), new Uint8Array(5)];
    if (between) scene.regions.sharpen(CORNER, WHOLE, SIZE);
    scene.regions.sharpen(LEFT, WHOLE, SIZE);
    assert.ok(first.stopped);
    await settle();
    const again = scene.opened.at(-1);
    assert.equal(again?.options.held.length, 10);
    assert.deepEqual(sizes(), [10, 10]);
    assert.equal(scene.regions.newest?.state, "receiving");
    await scene.give(shown(11, LEFT), 5);
    assert.deepEqual(sizes(), [15, 15]);
    assert.equal(scene.regions.newest?.shown?.pixels[0], 11);
    scene.regions.stop();
    assert.ok(again?.delivery.stopped);
  });

test("how the delivery before ends is not told of a region that is asked for again", async () => {
  const scene = new Scene();
  for (const end of [null, new PeerError("prefix-mismatch", "other bytes"), new Error("broken")]) {
    scene.regions.sharpen(LEFT, WHOLE, SIZE);
    await scene.give(shown(10, LEFT), 10);
    const { length } = scene.opened;
    const before = scene.regions.newest?.length;
    scene.opened[length - 1].delivery.flying = [end];
    scene.regions.sharpen(LEFT, WHOLE, SIZE);
    await settle();
    assert.equal(scene.opened.length, length + 1);
    assert.equal(scene.regions.newest?.length, before);
    assert.equal(scene.regions.newest?.state, "receiving");
    assert.equal(scene.regions.newest?.error, null);
  }
});

test("what is rendered while a region is asked for again is not taken for the new one", async () => {
  for (const late of [shown(10, LEFT), shown(10, CORNER), new Error("broken")]) {
    const scene = new Scene();
    scene.regions.sharpen(LEFT, WHOLE, SIZE);
    /** @type {(one: any) => void} */
    let render = () => {};
    scene.pictures[0].render = () => new Promise((resolve) => (render = resolve));
    await scene.give(null);
    scene.regions.sharpen(LEFT, WHOLE, SIZE);
    scene.pictures[1].next = shown(20, LEFT);
    render(late instanceof Error ? Promise.reject(late) : late);
    await settle();
    assert.equal(scene.regions.newest?.state, "receiving");
    assert.ok(!scene.opened[1].delivery.stopped);
    // All bytes are in the picture that came after it.
    assert.equal(scene.regions.newest?.shown?.pixels[0], 20);
  }
});

test("the whole picture wins if it has as many bits and is as good", async () => {
  const scene = new Scene();
  scene.regions.sharpen(LEFT, WHOLE, SIZE);
  await scene.give(shown(10, LEFT, { bpp: 0.1, predictedPsnr: 28 }));
  const spent = 0.1 + (8 * WHOLE.length) / (SIZE.width * SIZE.height);
  for (const [bpp, predictedPsnr, count] of [
    [spent, 28, 0],
    [spent, 27.9, 1],
    [spent - 0.01, 29, 1],
  ])
    assert.equal(scene.regions.better(shown(1, SIZE, { bpp, predictedPsnr })).length, count);
});

test("what goes wrong is told", async () => {
  const scene = new Scene();
  assert.throws(() => scene.regions.sharpen({ ...LEFT, width: 99 }, WHOLE, SIZE), {
    name: "RangeError",
    message: "the region 0,0,99,64 is not within the picture, which has 70x64 pixels",
  });
  scene.regions.sharpen(LEFT, WHOLE, SIZE);
  scene.opened[0].delivery.give(new PeerError("unknown-region", "there is none"));
  await settle();
  assert.equal(scene.regions.newest?.state, "failed");
  assert.match(scene.regions.newest?.error?.message ?? "", /there is none/);
  // Another sender that encodes otherwise: from the start, once there was something.
  scene.regions.sharpen(LEFT, WHOLE, SIZE);
  await scene.give(shown(10, LEFT));
  scene.opened[1].delivery.give(new PeerError("prefix-mismatch", "other bytes"));
  await settle();
  assert.equal(scene.opened.length, 3);
  assert.equal(scene.opened[2].options.held.length, 0);
  scene.opened[2].delivery.give(new PeerError("prefix-mismatch", "another picture"));
  await settle();
  assert.equal(scene.regions.newest?.state, "failed");
  // A stream of something else.
  scene.regions.sharpen(CORNER, WHOLE, SIZE);
  await scene.give(shown(10, { width: 7, height: 32 }));
  assert.match(scene.regions.newest?.error?.message ?? "", /that of another one/);
  assert.ok(scene.opened[3].delivery.stopped);
  assert.ok(scene.changes >= 4);
});
