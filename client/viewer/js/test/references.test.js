/** Streams that start from pictures: what is shown of them, and where the pictures come from. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Curve } from "../src/codec/curve.js";
import { Decoder } from "../src/codec/decoder.js";
import { History } from "../src/codec/history.js";
import { CorruptStream, MissingReference, PeerError, StreamError } from "../src/errors.js";
import { beside, ofSender, references } from "../src/references.js";
import { starts } from "../src/starts.js";
import { Code } from "../src/session/messages.js";
import { PrefixHash } from "../src/session/prefix.js";
import { alike } from "./looks.js";
import { MODELS, STARTED, ppm, started, startingFrom } from "./started.js";
import { byScale, near } from "./vectors.js";

/** @typedef {import("../src/container/reference.js").Named} Named */

/** Finds files, each whole or a beginning. @param {Uint8Array[]} files */
function among(files) {
  return (/** @type {Named} */ { size, digest }) =>
    files.find((file) => String(new PrefixHash(file.subarray(0, size))) === digest) ?? null;
}

/** @param {Uint8Array[]} files */
function decoder(files) {
  return new Decoder(MODELS, { references: references(MODELS, among(files), { image: ppm }) });
}

for (const { name } of STARTED) {
  describe(`the ${name} stream`, () => {
    const { data, files, prefixes, offsets, psnr, reaching } = started(name);

    for (const prefix of prefixes) {
      test(`looks after ${prefix.bytes} bytes as in Python`, async () => {
        const own = decoder(files);
        own.feed(data.subarray(0, prefix.bytes >> 1));
        await own.feed(data.subarray(prefix.bytes >> 1, prefix.bytes));
        assert.ok(own.ready);
        assert.equal(own.steps, prefix.steps);
        for (const method of /** @type {const} */ (["mmse", "flow", "ancestral", 0.5])) {
          const picture = await own.render(method);
          alike(picture, prefix[String(method)]);
          assert.ok(Math.abs(picture.predictedPsnr - prefix.predictedPsnr) < 1e-9);
          near(picture.predictedPsnrRange, prefix.predictedPsnrRange, 1e-9);
        }
        alike(await own.observation(), prefix.observation);
        alike(await own.render("mmse", { symmetries: 8 }), prefix.symmetries);
      });
    }

    test("has the curve that Python tells, and its first picture with the header", () => {
      const curve = new Curve();
      assert.equal(curve.first, undefined);
      for (let i = 0; i < data.length; i += 10) curve.feed(data.subarray(i, i + 10));
      assert.deepEqual(curve.offsets, offsets);
      assert.equal(curve.first, offsets[0]);
      near(curve.psnr(), psnr, 1e-9);
      for (const [wanted, offset] of reaching) assert.equal(curve.reaching(wanted), offset);
    });

    test("shows the same of any prefix when it is looked at again", async () => {
      const history = new History();
      history.feed(data);
      await history.prepare(references(MODELS, among(files), { image: ppm }));
      for (const { bytes, steps } of [...prefixes].reverse()) {
        const { chain } = await history.at(bytes, byScale);
        assert.equal(chain.steps, steps);
      }
      await assert.rejects(history.at(offsets[0] - 1, byScale), { name: "NothingDecodable" });
    });
  });
}

describe("a picture to start from", () => {
  const { data, files } = started("moved");

  test("is asked for by name, size and digest, and checked", async () => {
    /** @type {Named[]} */
    const asked = [];
    const wrong = files[0].slice();
    wrong[100] ^= 1;
    const find = (/** @type {Named} */ named) => (asked.push(named), wrong);
    const own = new Decoder(MODELS, { references: references(MODELS, find, { image: ppm }) });
    const error = /** @type {any} */ (await own.feed(data).catch((error) => error));
    assert.ok(error instanceof MissingReference);
    const digest = String(new PrefixHash(files[0]));
    assert.deepEqual(asked, [{ name: "a.ppm", size: 9163, digest }]);
    assert.deepEqual(error.reference, asked[0]);
    const said = `(a.ppm, 9,163 bytes whose SHA-256 begins with ${digest})`;
    assert.equal(error.message, `this stream starts from a picture that is not here ${said}`);
    assert.ok(!own.ready);
  });

  test("may be the beginning of a longer file, and is missing if nobody has it", async () => {
    const longer = Uint8Array.of(...files[0], 1, 2, 3);
    const find = () => longer;
    const own = new Decoder(MODELS, { references: references(MODELS, find, { image: ppm }) });
    await own.feed(data);
    assert.ok(own.ready);
    for (const references_ of [null, references(MODELS, () => null)]) {
      const none = new Decoder(MODELS, { references: references_ });
      await assert.rejects(none.feed(data), MissingReference);
    }
    const shorter = references(MODELS, () => files[0].subarray(1));
    await assert.rejects(new Decoder(MODELS, { references: shorter }).feed(data), MissingReference);
    // In Node, somebody has to read picture files.
    const unread = references(MODELS, () => files[0]);
    const unreadable = { name: "UnreadablePicture" };
    await assert.rejects(new Decoder(MODELS, { references: unread }).feed(data), unreadable);
  });

  test("has to be as large as the coarsest octave", async () => {
    const image = () => ({ pixels: new Uint8ClampedArray(4), width: 1, height: 1 });
    const small = references(MODELS, among(files), { image });
    const own = new Decoder(MODELS, { references: small });
    await assert.rejects(own.feed(data), (error) => {
      assert.ok(error instanceof CorruptStream);
      assert.match(error.message, /1x1 pixels is too small .* \(at byte 0\)/);
      return true;
    });
  });

  test("does not start from a hundred others", async () => {
    const itself = starts(MODELS, () => data, { image: ppm });
    const named = { name: "", size: data.length, digest: "", trust: new Uint8Array() };
    /** @type {unknown} */
    let error;
    try {
      await itself({ ...named, shift: [0, 0], cut: [0, 0] });
    } catch (thrown) {
      error = thrown;
    }
    assert.ok(error instanceof StreamError);
    assert.match(error.message, /more than 100 streams/);
  });

  test("does not start from too many pixels in all", async () => {
    let file = Uint8Array.of(1, 2, 3);
    /** @type {Uint8Array[]} */
    const chain = [];
    for (let i = 0; i < 7; i++) {
      file = startingFrom("00000002", "", file, [0x90, 0x4e, 0x90, 0x4e]); // 10,000x10,000
      chain.push(file);
    }
    /** @param {number} streams @param {number} [mostPixels] */
    const fed = (streams, mostPixels) => {
      const known = references(MODELS, among(chain), { image: ppm, mostPixels });
      return new Decoder(MODELS, { references: known }).feed(chain[streams]);
    };
    const tooLarge = { name: "PictureTooLarge", message: /have too many pixels in all/ };
    await assert.rejects(fed(5), MissingReference);
    await assert.rejects(fed(6), tooLarge);
    await assert.rejects(fed(6, 6e8), MissingReference);
  });

  test("takes no more bytes than may be", async () => {
    const onward = started("onward");
    /** @param {number} mostBytes */
    const within = (mostBytes) =>
      references(MODELS, among(onward.files), { image: ppm, mostBytes });
    const both = 400 + onward.files[1].length;
    await new Decoder(MODELS, { references: within(both) }).feed(onward.data);
    for (const few of [399, both - 1]) {
      const own = new Decoder(MODELS, { references: within(few) });
      await assert.rejects(own.feed(onward.data), /: it takes too many bytes/);
    }
  });

  test("is needed before anything is shown", async () => {
    const history = new History();
    await assert.rejects(
      history.prepare(() => assert.fail()),
      { name: "NothingDecodable" },
    );
    history.feed(data);
    await assert.rejects(history.at(data.length, byScale), MissingReference);
    const large = new History(100);
    large.feed(data);
    await assert.rejects(
      large.prepare(() => assert.fail()),
      { name: "PictureTooLarge" },
    );
  });
});

describe("addresses of what streams start from", () => {
  const url = new URL("https://a.example/by%20day/now.dfc?signed=1");

  test("are in the folder of the stream", () => {
    for (const [name, href] of [
      ["before.dfc", "https://a.example/by%20day/before.dfc"],
      ["früh ?#.png", "https://a.example/by%20day/fr%C3%BCh%20%3F%23.png"],
      ["%2e%2e", "https://a.example/by%20day/%252e%252e"],
      ["https:", "https://a.example/by%20day/https%3A"],
    ]) {
      assert.equal(beside(name, url)?.href, href);
    }
    for (const name of ["", ".", "..", ".a", "..a", "a/b", "../a", "/a", "a\\b", "\\b", "a\nb"]) {
      assert.equal(beside(name, url), null, name);
    }
    assert.equal(beside("a.dfc", new URL("blob:https://a.example/1-2")), null);
  });

  test("are other pictures of the same sender", async () => {
    const { data } = started("moved");
    /** @type {unknown[]} */
    const opened = [];
    /** @type {any} */
    const sender = {
      /** @param {string} name @param {{ bytes: number, held: Uint8Array }} target */
      open(name, { bytes, held }) {
        opened.push([name, bytes, ...(held.length ? [held.length] : [])]);
        let stopped = false;
        return {
          stop: () => (stopped = true),
          async *[Symbol.asyncIterator]() {
            if (held.some((byte, i) => byte !== data[i])) {
              throw new PeerError(Code.PREFIX_MISMATCH, "it begins otherwise");
            }
            for (let i = held.length; i < data.length && !stopped; i += 64)
              yield data.slice(i, i + 64);
          },
        };
      },
    };
    const find = ofSender(sender, "by day/b.jpg");
    const named = { name: "a.jpg.dfc", size: 300, digest: "" };
    assert.deepEqual(await find(named), data.slice(0, 300));
    assert.equal(await find({ ...named, size: 501 }), null);
    const names = ["a.jpg", "", ".dfc", ".a.dfc", "c/a.dfc", "../a.dfc", "c\\a.dfc", "a\x07.dfc"];
    for (const name of names) assert.equal(await find({ ...named, name }), null, name);
    assert.equal(await find({ ...named, size: 2 ** 26 + 1 }), null);
    const stopping = new AbortController();
    const found = find(named, stopping.signal);
    stopping.abort();
    assert.equal(await found, null);
    const asked = [300, 501, 300].map((bytes) => ["by day/a.jpg", bytes]);
    assert.deepEqual(opened.splice(0), asked);
    // Where pictures are stream files, they are called so.
    for (const image of ["by day/b.DFC", "b.dfc"]) await ofSender(sender, image)(named);
    const files = ["by day/a.jpg.dfc", "a.jpg.dfc"].map((name) => [name, 300]);
    assert.deepEqual(opened.splice(0), files);
    // What is here is not asked for again, if it is the same.
    const begins = data.slice(0, 300);
    const digest = String(new PrefixHash(begins));
    const other = data.slice();
    other[70] ^= 1;
    /** @type {[Uint8Array, unknown[]][]} */
    const cases = [
      [data, []],
      [data.slice(0, 100), [["a.jpg", 300, 100]]],
      [other, [["a.jpg", 300]]],
      [
        other.slice(0, 100),
        [
          ["a.jpg", 300, 100],
          ["a.jpg", 300],
        ],
      ],
    ];
    for (const [held, asked] of cases) {
      /** @param {string} name */
      const here = (name) => (name === "a.jpg" ? held : null);
      assert.deepEqual(await ofSender(sender, "b.jpg", here)({ ...named, digest }), begins);
      assert.deepEqual(opened.splice(0), asked);
    }
  });
});
