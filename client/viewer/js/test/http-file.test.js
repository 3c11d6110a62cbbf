/** A file of a web server: ranges, broken connections, replaced files, servers without ranges. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { HttpFile } from "../src/element/http-file.js";
import { LinkLost, PeerError, UnknownImage } from "../src/errors.js";
import { IDLE } from "../src/exchange.js";
import { VirtualClock } from "./network.js";

const FILE = Uint8Array.from({ length: 5000 }, (_, i) => i * i);

/**
 * What the server does next, and the ranges that it was asked for.
 *
 * `told` is whether an answer that there is no such range says how long the file is.
 *
 * @type {{ data: Uint8Array, tag: string, ranges: boolean, most: number, breaks: number | null,
 *   told: boolean, statuses: number[], asked: string[] }}
 */
const served = {
  data: FILE,
  tag: '"1"',
  ranges: true,
  most: 1e9,
  breaks: null,
  told: true,
  statuses: [],
  asked: [],
};

const server = createServer((request, response) => {
  const range = request.headers.range ?? "";
  served.asked.push(range.replace("bytes=", ""));
  const status = served.statuses.shift();
  if (status || request.url !== "/a.dfc") {
    response.writeHead(status ?? 404).end();
    return;
  }
  const span = /^bytes=(\d+)-(\d*)$/.exec(range);
  const { length } = served.data;
  let [first, last] = [0, length];
  /** @type {Record<string, string | number>} */
  const head = { ETag: served.tag };
  if (span && served.ranges) {
    [first, last] = [Number(span[1]), Math.min(span[2] ? Number(span[2]) + 1 : length, length)];
    if (first >= length) {
      const fields = served.told ? { "Content-Range": `bytes */${length}` } : {};
      response.writeHead(416, fields).end();
      return;
    }
    last = Math.min(last, first + served.most);
    head["Content-Range"] = `bytes ${first}-${last - 1}/${length}`;
  }
  response.writeHead(first || head["Content-Range"] ? 206 : 200, {
    ...head,
    "Content-Length": last - first,
  });
  const { breaks } = served;
  if (breaks !== null && breaks < last) {
    served.breaks = null;
    response.write(served.data.subarray(first, breaks), () => response.destroy());
  } else {
    response.end(served.data.subarray(first, last));
  }
});
let home = "";
before(async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  home = `http://127.0.0.1:${port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

/** @param {Partial<typeof served>} [state] */
function serve(state = {}) {
  const usual = { data: FILE, tag: '"1"', ranges: true, most: 1e9, breaks: null, told: true };
  Object.assign(served, usual, { statuses: [], asked: [] }, state);
}

/**
 * Read a file, and return what is here of it in the end.
 *
 * @param {HttpFile} file
 * @param {number} start
 * @param {number | null} end
 */
async function read(file, start, end, held = FILE.subarray(0, start)) {
  let here = Uint8Array.from(held);
  for await (const { at, data } of file.read(start, end, new AbortController().signal)) {
    assert.ok(at === here.length || at === 0);
    here = Uint8Array.of(...here.subarray(0, at), ...data);
  }
  return here;
}

/** @param {string} [name] */
function file(name = "a.dfc") {
  return new HttpFile(`${home}/${name}`, { draw: () => 0, patience: 60 });
}

test("as many bytes as are wanted, and then the next ones only", async () => {
  serve();
  const own = file();
  assert.deepEqual(await read(own, 0, 2000), FILE.slice(0, 2000));
  assert.equal(own.size, 5000);
  assert.deepEqual(await read(own, 2000, 3000), FILE.slice(0, 3000));
  assert.deepEqual(await read(own, 3000, null), FILE);
  assert.deepEqual(await read(own, 5000, null), FILE);
  assert.deepEqual(served.asked, ["0-1999", "2000-2999", "3000-", "5000-"]);
});

test("all of it without a range", async () => {
  serve();
  assert.deepEqual(await read(file(), 0, null), FILE);
  assert.deepEqual(served.asked, [""]);
});

test("a connection that breaks costs no byte twice", async () => {
  serve({ breaks: 1200 });
  assert.deepEqual(await read(file(), 0, 2000), FILE.slice(0, 2000));
  assert.deepEqual(served.asked, ["0-1999", "1200-1999"]);
});

test("a server without ranges, or with short ones", async () => {
  serve({ ranges: false });
  assert.deepEqual(await read(file(), 1000, 2000), FILE.slice(0, 2000));
  serve({ ranges: false, breaks: 700 });
  assert.deepEqual(await read(file(), 0, 2000), FILE.slice(0, 2000));
  serve({ most: 800 });
  assert.deepEqual(await read(file(), 0, 2000), FILE.slice(0, 2000));
  assert.deepEqual(served.asked, ["0-1999", "800-1999", "1600-1999"]);
});

test("a file that was replaced is read from its start", async () => {
  const other = FILE.map((value) => value ^ 1);
  for (const ranges of [true, false]) {
    serve({ ranges });
    const own = file();
    await read(own, 0, 1000);
    Object.assign(served, { data: other, tag: '"2"' });
    assert.deepEqual(await read(own, 1000, 2000), other.slice(0, 2000));
  }
});

for (const told of [true, false])
  test(`a file that was replaced by a shorter one, ${told ? "" : "not "}told`, async () => {
    for (const length of [700, 600, 0]) {
      serve({ told });
      const own = file();
      await read(own, 0, 700);
      const other = FILE.slice(0, length).map((value) => value ^ 1);
      Object.assign(served, { data: other, tag: '"2"', asked: [] });
      assert.deepEqual(await read(own, 700, null), other);
      assert.deepEqual(served.asked, ["700-", ""]);
      // There is no more of it.
      assert.deepEqual(await read(own, length, null, other), other);
    }
  });

test("a file that ends where it was cut off, as far as is known", async () => {
  serve({ data: FILE.slice(0, 700) });
  assert.deepEqual(await read(file(), 700, null), FILE.slice(0, 700));
  assert.deepEqual(served.asked, ["700-"]);
});

test("bytes of a file that was replaced are not gone on with after a break", async () => {
  const other = FILE.map((value) => value ^ 1);
  for (const ranges of [true, false])
    for (const statuses of [[], [0, 503]]) {
      serve({ ranges });
      const own = file();
      await read(own, 0, 1000);
      // The first answer breaks before it brings a byte, or the one after it does not come.
      Object.assign(served, { data: other, tag: '"2"', breaks: ranges ? 1000 : 0, statuses });
      assert.deepEqual(await read(own, 1000, 2000), other.slice(0, 2000));
      // Nor by who was told of it, and left.
      Object.assign(served, { data: FILE, tag: '"1"' });
      for await (const { at } of own.read(1000, 2000, new AbortController().signal)) {
        assert.equal(at, 0);
        break;
      }
      assert.deepEqual(await read(own, 1000, 2000, other.subarray(0, 1000)), FILE.slice(0, 2000));
    }
});

test("busy servers are asked again, others are believed", async () => {
  serve({ statuses: [503, 500] });
  assert.deepEqual(await read(file(), 0, 10), FILE.slice(0, 10));
  serve();
  await assert.rejects(read(file("b.dfc"), 0, 10), UnknownImage);
  await assert.rejects(read(file("100%.dfc"), 0, 10), { message: "there is no /100%.dfc (404)" });
  serve({ statuses: [403] });
  await assert.rejects(read(file(), 0, 10), PeerError);
  assert.equal(served.asked.length, 1);
});

/**
 * Return a server that is reached by fetch(): what `first` returns the first time, and then all.
 *
 * @param {(head: ResponseInit, signal: AbortSignal) => Response | Promise<Response>} first
 */
function once(first) {
  /** @type {string[]} */
  const asked = [];
  /** @param {unknown} _ @param {RequestInit} [init] */
  const fetch = async (_, { headers, signal } = {}) => {
    const range = new Headers(headers).get("range") ?? "";
    asked.push(range.replace("bytes=", ""));
    const start = Number(/\d+/.exec(range)?.[0]);
    const head = { status: 206, headers: { "Content-Range": `bytes ${start}-1999/5000` } };
    if (asked.length === 1) return first(head, /** @type {AbortSignal} */ (signal));
    return new Response(FILE.slice(start, 2000), head);
  };
  const clock = new VirtualClock();
  const own = new HttpFile("http://a.example/a.dfc", {
    fetch,
    clock,
    draw: () => 0,
    patience: 600,
  });
  return { own, clock, asked };
}

test("a server that stalls is asked again, from where it stopped", async () => {
  const silent = once(
    (_, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  assert.deepEqual(await silent.clock.settled(read(silent.own, 0, 2000)), FILE.slice(0, 2000));
  assert.deepEqual(silent.asked, ["0-1999", "0-1999"]);
  const slow = once((head, signal) => {
    const body = new ReadableStream({
      start(stream) {
        stream.enqueue(FILE.slice(0, 1200));
        signal.addEventListener("abort", () => stream.error(signal.reason));
      },
    });
    return new Response(body, head);
  });
  assert.deepEqual(await slow.clock.settled(read(slow.own, 0, 2000)), FILE.slice(0, 2000));
  assert.deepEqual(slow.asked, ["0-1999", "1200-1999"]);
  for (const { clock } of [silent, slow]) {
    assert.equal(clock.now(), IDLE);
    assert.equal(clock.pending, 0);
  }
});

test("a server says when to come back", async () => {
  const busy = once(() => new Response("", { status: 503, headers: { "Retry-After": "30" } }));
  assert.deepEqual(await busy.clock.settled(read(busy.own, 0, 2000)), FILE.slice(0, 2000));
  assert.equal(busy.clock.now(), 30);
});

for (const [what, start, status, range] of /** @type {[string, number, number, string][]} */ ([
  ["an empty range", 0, 206, "bytes 0-99/1000"],
  ["none of the ranges that there are", 100, 416, "bytes */5000"],
]))
  test(`patience ends with a server that sends ${what}`, async () => {
    const clock = new VirtualClock();
    let attempts = 0;
    const fetch = async () => {
      attempts += 1;
      // Without pauses it would go on for ever.
      assert.ok(attempts < 1000);
      return new Response(new Uint8Array(), { status, headers: { "Content-Range": range } });
    };
    const own = new HttpFile("http://a.example/a.dfc", { fetch, clock, patience: 60 });
    await assert.rejects(clock.settled(read(own, start, 2000)), {
      name: "LinkLost",
      message: "a.example sends nothing new of the file",
    });
    assert.ok(attempts > 3 && clock.now() > 10 && clock.now() <= 60);
  });

test("a server that sends two files in turn is not asked without pauses", async () => {
  const clock = new VirtualClock();
  const leaving = new AbortController();
  let attempts = 0;
  /** @param {unknown} _ @param {RequestInit} [init] */
  const fetch = async (_, { headers } = {}) => {
    attempts += 1;
    if (attempts === 100) leaving.abort();
    const start = Number(/\d+/.exec(new Headers(headers).get("range") ?? "")?.[0]);
    const fields = {
      "Content-Range": `bytes ${start}-${start + 99}/5000`,
      ETag: `${attempts % 2}`,
    };
    return new Response(FILE.slice(start, start + 100), { status: 206, headers: fields });
  };
  const own = new HttpFile("http://a.example/a.dfc", { fetch, clock, draw: () => 1 });
  const reading = async () => {
    for await (const { at } of own.read(0, 2000, leaving.signal)) assert.ok(at <= 100);
  };
  await assert.rejects(clock.settled(reading()), { name: "AbortError" });
  assert.ok(clock.now() > 10);
});

test("patience ends", async () => {
  const clock = new VirtualClock();
  let attempts = 0;
  const fetch = () => {
    attempts += 1;
    return Promise.reject(new TypeError("no network"));
  };
  const own = new HttpFile("http://sender.example/a.dfc", { fetch, clock, patience: 60 });
  /** @type {unknown} */
  let failure = null;
  read(own, 0, 10).catch((error) => (failure = error));
  await clock.until(() => failure !== null);
  assert.ok(failure instanceof LinkLost);
  assert.ok(attempts > 3 && clock.now() > 10 && clock.now() <= 60);
});

test("it stops when it is told to, or left", async () => {
  serve();
  const stopping = new AbortController();
  const own = file();
  await assert.rejects(
    async () => {
      for await (const _ of own.read(0, null, stopping.signal)) stopping.abort();
      stopping.signal.throwIfAborted();
    },
    { name: "AbortError" },
  );
  for await (const { at } of own.read(0, null, new AbortController().signal)) {
    assert.equal(at, 0);
    break;
  }
  const clock = new VirtualClock();
  const fetch = () => Promise.reject(new TypeError("no network"));
  const waiting = new HttpFile("http://x.example/a.dfc", { fetch, clock });
  const leaving = new AbortController();
  const reading = waiting.read(0, 10, leaving.signal).next();
  await clock.until(() => clock.pending > 0);
  leaving.abort();
  await assert.rejects(reading, { name: "AbortError" });
  assert.equal(clock.pending, 0);
});
