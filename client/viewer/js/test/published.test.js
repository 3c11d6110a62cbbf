/** Pictures of a published folder: files of a web server that may fail in every way. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  AddressError,
  LinkLost,
  PeerError,
  RemoteProtocolError,
  UnknownImage,
} from "../src/errors.js";
import { published } from "../src/published.js";
import { VirtualClock } from "./network.js";

const HOME = "https://example.org/pictures/";
const STREAM = new Uint8Array(5000).map((_, place) => [0x44, 0x46, 0x43][place] ?? place % 251);

/** @param {string} name */
function picture(name) {
  const files = { stream: `streams/${name}.0.dfc`, thumbnail: "-/thumbnails/0.webp" };
  return { name, bytes: STREAM.length, time: 7, sha256: "0123456789abcdef".repeat(4), ...files };
}

/** A web server. */
class Server {
  /** @type {Map<string, string | Uint8Array>} */
  files = new Map();
  /** What is asked for: paths and ranges. @type {string[]} */
  asked = [];
  /**
   * How to fail, once for each request; "short" sends half of what it says, "empty" nothing.
   *
   * @type {(number | "unreachable" | "cut" | "short" | "empty" | null)[]}
   */
  failures = [];
  ranges = true;

  /** @param {string[]} names */
  constructor(names) {
    this.publish(names);
    for (const name of names) this.files.set(`streams/${name}.0.dfc`, STREAM);
  }

  /** @param {string[]} names */
  publish(names) {
    const page = `-/catalogue/${names.length}.json`;
    const pages = names.length ? [{ path: page, pictures: names.length, first: names[0] }] : [];
    this.files.set("catalogue.json", JSON.stringify({ version: 1, pages }));
    this.files.set(page, JSON.stringify({ version: 1, pictures: names.map(picture) }));
  }

  /** @param {string} url @param {RequestInit} init */
  async fetch(url, { headers, signal }) {
    assert(url.startsWith(HOME));
    const path = decodeURIComponent(url.slice(HOME.length));
    const range = /** @type {Record<string, string> | undefined} */ (headers)?.Range;
    this.asked.push([path, range?.replace("bytes=", "")].join(" ").trim());
    const failure = this.failures.shift();
    if (failure === "unreachable") throw new TypeError("failed to fetch");
    if (typeof failure === "number") return new Response("no", { status: failure });
    const file = this.files.get(path);
    if (file === undefined) return new Response("gone", { status: 404 });
    let body = typeof file === "string" ? new TextEncoder().encode(file) : file;
    let [status, fields] = [200, {}];
    if (range && this.ranges) {
      const [first, last] = range.replace("bytes=", "").split("-").map(Number);
      if (first >= body.length) return new Response("", { status: 416 });
      const part = body.slice(first, last + 1);
      const span = `bytes ${first}-${first + part.length - 1}/${body.length}`;
      [status, fields, body] = [206, { "Content-Range": span }, part];
    }
    if (failure === "short") body = body.slice(0, body.length / 2);
    if (failure === "empty") body = body.slice(0, 0);
    const cut = failure === "cut";
    const source = new ReadableStream({
      pull(controller) {
        if (signal?.aborted) controller.error(new DOMException("aborted", "AbortError"));
        else if (cut && body.length < 200) controller.error(new TypeError("cut off"));
        else {
          if (body.length) controller.enqueue(body.slice(0, 100));
          body = body.slice(100);
          if (!body.length) controller.close();
        }
      },
    });
    return new Response(source, { status, headers: fields });
  }
}

/** @param {Server} server @param {Partial<import("../src/published.js").Options>} [options] */
function visited(server, options) {
  const clock = new VirtualClock();
  /** @type {any} */
  const fetch = server.fetch.bind(server);
  const folder = published(HOME, { fetch, clock, draw: () => 1, ...options });
  return { folder, clock };
}

/** @param {AsyncIterable<Uint8Array>} delivery */
async function all(delivery) {
  const pieces = [];
  for await (const piece of delivery) pieces.push(...piece);
  return Uint8Array.from(pieces);
}

/**
 * Let time pass until a promise settles.
 *
 * @template T
 * @param {VirtualClock} clock
 * @param {Promise<T>} promise
 */
async function settled(clock, promise) {
  let over = false;
  promise.then(
    () => (over = true),
    () => (over = true),
  );
  for (let turn = 0; turn < 200 && !over; turn++) await new Promise((go) => setImmediate(go));
  await clock.until(() => over);
  return promise;
}

test("the catalogue, and where its files are", async () => {
  const { folder } = visited(new Server(["a/ü b.jpg", "c#d.png"]));
  const entries = await folder.catalogue();
  assert.deepEqual(
    entries.map(({ name, size, time, thumbprint }) => [name, size, time, thumbprint]),
    ["a/ü b.jpg", "c#d.png"].map((name) => [name, 5000, 7, "0123456789abcdef"]),
  );
  assert.equal(folder.thumbnail("c#d.png")?.href, `${HOME}-/thumbnails/0.webp`);
  assert.equal(folder.thumbnail("gone"), null);
  assert.equal(folder.status, "connected");
  folder.close();
  assert.equal(folder.status, "closed");
});

test("nothing is published yet", async () => {
  const { folder } = visited(new Server([]));
  assert.deepEqual(await folder.catalogue(), []);
  folder.close();
});

test("a stream comes in ranges that grow", async () => {
  const server = new Server(["c#d.png"]);
  const { folder } = visited(server);
  const delivery = folder.open("c#d.png");
  assert.deepEqual(await all(delivery), STREAM);
  assert.deepEqual(await delivery.ended, { reason: "complete", length: 5000 });
  const ranges = server.asked.filter((line) => line.startsWith("streams/"));
  const spans = ["0-1023", "1024-3071", "3072-7167"];
  assert.deepEqual(
    ranges,
    spans.map((span) => `streams/c#d.png.0.dfc ${span}`),
  );
  folder.close();
});

for (const ranges of [true, false])
  test(`a target, and what is held, ${ranges ? "with" : "without"} ranges`, async () => {
    const server = new Server(["a.png"]);
    server.ranges = ranges;
    const { folder } = visited(server);
    const held = STREAM.slice(0, 700);
    const delivery = folder.open("a.png", { bytes: 1500, held });
    assert.deepEqual(await all(delivery), STREAM.slice(700, 1500));
    assert.deepEqual(await delivery.ended, { reason: "target", length: 1500 });
    const whole = folder.open("a.png", { held: STREAM });
    assert.deepEqual(await all(whole), new Uint8Array());
    assert.equal((await whole.ended).reason, "complete");
    const few = folder.open("a.png", { bytes: 2000, held: STREAM.slice(0, 10) });
    assert.deepEqual(await all(few), STREAM.slice(10, 2000));
    // What is enough already is asked for by nobody.
    const enough = folder.open("a.png", { bytes: 700, held });
    assert.deepEqual(await enough.ended, { reason: "target", length: 700 });
    const spans = server.asked.filter((line) => line.startsWith("streams/"));
    assert.deepEqual(
      spans.map((line) => line.split(" ")[1]),
      ["636-1499", "4936-6023", "0-1033", ...(ranges ? ["1034-1999"] : [])],
    );
    folder.close();
  });

for (const ranges of [true, false])
  test(`bytes held of another stream, ${ranges ? "with" : "without"} ranges`, async () => {
    const server = new Server(["a.png"]);
    server.ranges = ranges;
    const { folder } = visited(server);
    const longer = Uint8Array.from({ length: 7000 }, (_, place) => STREAM[place] ?? 1);
    const others = [STREAM.slice(0, 700), STREAM.slice(0, 4), STREAM.slice(0, 1)];
    for (const other of others) other[other.length - 1] ^= 1;
    // A stream that was cut is another one, too.
    for (const held of [...others, longer.slice(0, 5010), longer]) {
      /** @type {Uint8Array[]} */
      const received = [];
      const delivery = folder.open("a.png", { held });
      await assert.rejects(
        async () => {
          for await (const piece of delivery) received.push(piece);
        },
        (error) => {
          assert.ok(error instanceof PeerError);
          assert.equal(error.code, "prefix-mismatch");
          assert.equal(
            error.message,
            `the first ${held.length} bytes of a.png are not as held: start again without them`,
          );
          return true;
        },
      );
      assert.deepEqual(received, []);
      await assert.rejects(delivery.ended, PeerError);
    }
    // It was no failure of the server's.
    assert.equal(folder.status, "connected");
    assert.deepEqual(await all(folder.open("a.png")), STREAM);
    folder.close();
  });

test("answers that end too early are asked for again, after a pause", async () => {
  const server = new Server(["a.png"]);
  const { folder, clock } = visited(server);
  await folder.catalogue();
  for (const failure of /** @type {const} */ (["short", "empty", "cut"])) {
    const began = clock.now();
    server.failures = [failure, failure, null, failure];
    const delivery = folder.open("a.png", { held: STREAM.slice(0, 700) });
    assert.deepEqual(await settled(clock, all(delivery)), STREAM.slice(700));
    assert.equal((await delivery.ended).reason, "complete");
    assert.ok(clock.now() > began);
  }
  server.failures = Array(1000).fill("empty");
  const impatient = visited(server, { patience: 30 });
  server.failures.unshift(null, null);
  const delivery = impatient.folder.open("a.png");
  await assert.rejects(settled(impatient.clock, all(delivery)), {
    name: "LinkLost",
    message: "example.org sent less than it said",
  });
  folder.close();
});

test("a target that is raised while bytes beyond it are dropped", async () => {
  const { folder } = visited(new Server(["a.png"]));
  const delivery = folder.open("a.png", { bytes: 50 });
  const received = [];
  for await (const piece of delivery) {
    received.push(...piece);
    if (received.length === 50) delivery.update({ bytes: 2000 });
  }
  assert([50, 2000].includes(received.length));
  assert.deepEqual(Uint8Array.from(received), STREAM.slice(0, received.length));
  folder.close();
});

test("failures that may pass do: no byte is taken twice", async () => {
  const server = new Server(["a.png"]);
  server.failures = [503, "unreachable", "cut", 429, "cut", "unreachable"];
  /** @type {string[]} */
  const said = [];
  const { folder, clock } = visited(server, { onStatus: (status) => said.push(status) });
  const delivery = folder.open("a.png");
  assert.deepEqual(await settled(clock, all(delivery)), STREAM);
  assert(said.includes("waiting") && said.at(-1) === "connected");
  folder.close();
});

test("patience ends", async () => {
  const server = new Server(["a.png"]);
  server.failures = Array(1000).fill("unreachable");
  const { folder, clock } = visited(server, { patience: 30 });
  const delivery = folder.open("a.png");
  await assert.rejects(settled(clock, all(delivery)), LinkLost);
  assert.equal(folder.status, "closed");
});

test("a picture that is not there", async () => {
  const server = new Server(["a.png"]);
  const { folder } = visited(server);
  await assert.rejects(all(folder.open("b.png")), UnknownImage);
  server.files.delete("streams/a.png.0.dfc");
  await assert.rejects(all(folder.open("a.png")), UnknownImage);
  folder.close();
});

test("stopping, and closing", async () => {
  const { folder } = visited(new Server(["a.png"]));
  const delivery = folder.open("a.png");
  for await (const piece of delivery) {
    assert(piece.length);
    break;
  }
  assert.equal((await delivery.ended).reason, "stopped");
  const other = folder.open("a.png");
  folder.close();
  await assert.rejects(other.ended, LinkLost);
});

test("what is no stream is not taken for one", async () => {
  const server = new Server(["a.png"]);
  server.files.set("streams/a.png.0.dfc", "<html>please log in");
  const { folder } = visited(server);
  await assert.rejects(all(folder.open("a.png")), RemoteProtocolError);
  // A page to log in, in the server's place, says nothing about what is held.
  server.ranges = false;
  const held = STREAM.slice(0, 700);
  await assert.rejects(all(folder.open("a.png", { held })), RemoteProtocolError);
  folder.close();
});

for (const text of [
  "<html>",
  "null",
  '{"version": 2, "pages": []}',
  '{"version": 1}',
  '{"version": 1, "pages": [{"path": "../x", "pictures": 1}]}',
  '{"version": 1, "pages": [{"path": "x"}]}',
])
  test(`no catalogue: ${text}`, async () => {
    const server = new Server([]);
    server.files.set("catalogue.json", text);
    const { folder } = visited(server);
    await assert.rejects(folder.catalogue(), RemoteProtocolError);
    await assert.rejects(all(folder.open("a.png")), RemoteProtocolError);
    assert.equal(folder.status, "closed");
  });

test("pictures that are published later appear", async () => {
  const server = new Server(["a.png"]);
  const { folder, clock } = visited(server);
  const states = folder.follow();
  const names = async () => (await states.next()).value.entries.map(({ name }) => name);
  assert.deepEqual(await names(), ["a.png"]);
  server.publish(["a.png", "b.png"]);
  assert.deepEqual(await settled(clock, names()), ["a.png", "b.png"]);
  folder.close();
});

test("addresses", () => {
  for (const url of ["ws://example.org", "nowhere", "ftp://x/"])
    assert.throws(() => published(url), AddressError);
});

test("what streams start from: other pictures, and files beside them", async () => {
  const server = new Server(["by day/a.png", "by day/b.png"]);
  server.files.set("streams/by day/früh.png", STREAM);
  const { folder, clock } = visited(server);
  const find = folder.references("by day/a.png");
  const [size, digest] = [700, ""];
  const begins = STREAM.slice(0, 700);
  assert.deepEqual(await find({ name: "b.png.dfc", size, digest }), begins);
  assert.deepEqual(await find({ name: "früh.png", size, digest }), begins);
  server.failures.push(503);
  const late = await settled(clock, Promise.resolve(find({ name: "früh.png", size, digest })));
  assert.deepEqual(late, begins);
  const ranges = server.asked.filter((line) => line.startsWith("streams/"));
  const früh = "streams/by day/früh.png 0-699";
  assert.deepEqual(ranges, ["streams/by day/b.png.0.dfc 0-699", früh, früh, früh]);
  const long = await find({ name: "a.png.dfc", size: 6000, digest });
  assert.equal(long?.length, 5000);
  await assert.rejects(async () => find({ name: "gone.png", size, digest }), UnknownImage);
  for (const name of ["../catalogue.json", "", "by day/gone.dfc", ".."]) {
    assert.equal(await find({ name, size, digest }), null);
  }
  assert.equal(await find({ name: "früh.png", size: 2 ** 26 + 1, digest }), null);
  await assert.rejects(
    async () => folder.references("gone")({ name: "früh.png", size, digest }),
    UnknownImage,
  );
  folder.close();
});
