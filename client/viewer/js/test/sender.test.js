/** A sender that is reached over links that break: nothing is lost, no byte is taken twice. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../src/sender.js";
import { PrefixHash } from "../src/session/prefix.js";
import { Network, turn, VirtualClock } from "./network.js";
import { numbers } from "./numbers.js";

const URL = "ws://sender.example:8765";
const random = numbers(7);
/** Begins like a stream, with a model's fingerprint. */
const PHOTO = Uint8Array.of(
  ...Buffer.from("DFC"),
  0x10,
  ...[0x0a, 0x1b, 0x2c, 0x3d],
  ...Array.from({ length: 692 }, () => random(256)),
);

/**
 * Return a network, a sender reached over it, and all that it said of its status.
 *
 * @param {import("../src/sender.js").Options} [options]
 * @param {Partial<Network>} [settings]
 */
function reached(options = {}, settings = {}) {
  const clock = new VirtualClock();
  const network = Object.assign(new Network(clock), settings);
  network.streams.set("photo.jpg", PHOTO);
  network.streams.set("harbour/crane.png", PHOTO.slice(0, 300));
  /** @type {string[]} */
  const said = [];
  const sender = connect(URL, {
    WebSocket: network.WebSocket,
    clock,
    draw: () => 0.5,
    onStatus: (status, error) => said.push(error ? `${status}: ${error.message}` : status),
    ...options,
  });
  return { clock, network, sender, said };
}

/**
 * Take what a delivery brings.
 *
 * @param {import("../src/delivery.js").Delivery} delivery
 */
function taken(delivery) {
  /** @type {{ bytes: Uint8Array, error: Error | null, over: boolean }} */
  const taken = { bytes: new Uint8Array(), error: null, over: false };
  const take = async () => {
    for await (const piece of delivery) taken.bytes = Uint8Array.of(...taken.bytes, ...piece);
  };
  take()
    .catch((error) => (taken.error = error))
    .finally(() => (taken.over = true));
  return taken;
}

test("a catalogue, and a whole stream", async () => {
  const { clock, network, sender, said } = reached({ models: ["0a1b2c3d"] });
  const names = (await clock.settled(sender.catalogue())).map(({ name }) => name);
  assert.deepEqual(names, ["harbour/crane.png", "photo.jpg"]);
  const delivery = sender.open("photo.jpg");
  const got = taken(delivery);
  assert.deepEqual(await clock.settled(delivery.ended), { reason: "complete", length: 700 });
  await turn();
  assert.deepEqual(got, { bytes: PHOTO, error: null, over: true });
  assert.equal(delivery.length, 700);
  assert.deepEqual(said, ["connected"]);
  assert.equal(sender.status, "connected");
  const [hello] = network.last.heard;
  assert.equal(hello.type, "HELLO");
  assert.deepEqual("models" in hello && hello.models, ["0a1b2c3d"]);
});

test("what is asked for does not wait for the connection", async () => {
  const { clock, network, sender } = reached();
  const delivery = sender.open("photo.jpg", {
    psnr: 30,
    bpp: 0.5,
    side: 512,
    weight: 3,
    model: "00ffee11",
  });
  const listed = sender.catalogue();
  assert.equal(listed, sender.catalogue());
  await clock.settled(Promise.all([delivery.ended, listed]));
  assert.deepEqual(
    network.last.heard.slice(0, 3).map(({ type }) => type),
    ["HELLO", "OPEN", "LIST"],
  );
  const target = { bytes: null, psnr: 30, bpp: 0.5, side: 512, weight: 3 };
  const held = { start: 0, prefix: null, model: "00ffee11", region: null };
  assert.deepEqual(network.last.heard[1], {
    type: "OPEN",
    stream: 1,
    image: "photo.jpg",
    ...target,
    ...held,
  });
  assert.equal(clock.now(), 3 * network.latency);
});

test("what is held is not sent again", async () => {
  const { clock, network, sender } = reached();
  const delivery = sender.open("photo.jpg", { held: PHOTO.slice(0, 300), bytes: 500 });
  const got = taken(delivery);
  assert.deepEqual(await clock.settled(delivery.ended), { reason: "target", length: 500 });
  await turn();
  assert.deepEqual(got.bytes, PHOTO.slice(300, 500));
  assert.equal(network.sent, 200);
  const open = network.last.heard[1];
  assert.equal(open.type === "OPEN" && open.model, "0a1b2c3d");
  assert.equal(open.type === "OPEN" && open.prefix, String(new PrefixHash(PHOTO.slice(0, 300))));
});

const REGION = { left: 1, top: 2, width: 3, height: 4, size: 500, digest: "0".repeat(16) };

test("a region is asked for when the sender is known to have some, and again after a cut", async () => {
  const { clock, network, sender } = reached(
    {},
    { capabilities: ["region"], cuts: [{ down: 400 }], frame: 64 },
  );
  assert.equal(sender.regions, false);
  const delivery = sender.open("photo.jpg", { region: REGION, weight: 100, model: "00ffee11" });
  const got = taken(delivery);
  await clock.settled(delivery.ended);
  await turn();
  assert.deepEqual(got.bytes, PHOTO);
  assert.equal(sender.regions, true);
  const opens = network.conversations.flatMap(({ heard }) =>
    heard.filter((message) => message.type === "OPEN"),
  );
  assert.equal(opens.length, 2);
  for (const open of opens) assert.deepEqual("region" in open && open.region, REGION);
  assert.ok("start" in opens[1] && opens[1].start > 0);
  assert.throws(() => sender.open("photo.jpg", { region: { ...REGION, width: 0 } }), {
    name: "LocalProtocolError",
  });
});

test("a sender without regions is asked for none", async () => {
  const { clock, network, sender } = reached();
  const delivery = sender.open("photo.jpg", { region: REGION });
  const ended = assert.rejects(clock.settled(delivery.ended), {
    name: "PeerError",
    code: "unsupported",
  });
  await ended;
  assert.ok(network.last.heard.every(({ type }) => type === "HELLO"));
  const stopped = sender.open("photo.jpg", { region: REGION });
  stopped.stop();
  await assert.rejects(clock.settled(stopped.ended), { code: "unsupported" });
});

test("cut once at every byte, either way: every byte comes, once", async () => {
  for (const way of ["down", "up"]) {
    let unbroken = false;
    for (let at = 0; !unbroken; at++) {
      const { clock, network, sender } = reached({}, { cuts: [{ [way]: at }], frame: 64 });
      const [one, other] = ["photo.jpg", "harbour/crane.png"].map((name) => sender.open(name));
      const got = [taken(one), taken(other)];
      const listed = sender.catalogue();
      await clock.settled(Promise.all([one.ended, other.ended, listed]));
      await turn();
      assert.deepEqual(got[0].bytes, PHOTO);
      assert.deepEqual(got[1].bytes, PHOTO.slice(0, 300));
      assert.equal((await listed).length, 2);
      unbroken = network.conversations.length === 1;
      sender.close();
      assert.ok(unbroken ? at > (way === "down" ? 1000 : 40) : at < 2000);
    }
  }
});

test("cut again and again, at random", async () => {
  for (let round = 0; round < 100; round++) {
    const cuts = Array.from({ length: 20 }, () => ({ down: random(400), up: random(400) }));
    const { clock, sender, network } = reached({}, { cuts, frame: 1 + random(80) });
    const delivery = sender.open("photo.jpg");
    const got = taken(delivery);
    await clock.settled(delivery.ended);
    await turn();
    assert.deepEqual(got.bytes, PHOTO);
    assert.equal(sender.statistics().connections, network.conversations.length);
  }
});

test("good enough: it stops within the window", async () => {
  const { clock, network, sender } = reached();
  network.streams.set("large", new Uint8Array(100_000));
  const delivery = sender.open("large");
  const got = taken(delivery);
  await clock.until(() => delivery.length >= 5000);
  const before = delivery.length;
  delivery.stop();
  delivery.stop();
  delivery.update({ bytes: 99_999 });
  const { reason, length } = await clock.settled(delivery.ended);
  assert.equal(reason, "stopped");
  assert.ok(length - before <= 8192);
  await turn();
  assert.equal(got.bytes.length, length);
  assert.equal(network.last.heard.filter(({ type }) => type === "STOP").length, 1);
});

test("leaving the loop stops the stream", async () => {
  const { clock, network, sender } = reached();
  network.streams.set("large", new Uint8Array(100_000));
  const delivery = sender.open("large");
  const loop = async () => {
    for await (const piece of delivery) if (piece.length) break;
  };
  await clock.settled(loop());
  assert.equal((await clock.settled(delivery.ended)).reason, "stopped");
  assert.deepEqual(network.last.streams, []);
});

test("a stop without a connection, and one whose answer is lost", async () => {
  const { clock, network, sender } = reached({}, { mood: "refused" });
  const early = sender.open("photo.jpg");
  early.stop();
  assert.deepEqual(await early.ended, { reason: "stopped", length: 0 });
  network.mood = null;
  network.streams.set("large", new Uint8Array(100_000));
  const delivery = sender.open("large");
  await clock.until(() => delivery.length > 0);
  delivery.stop();
  network.last.socket.cut(1006);
  assert.equal((await clock.settled(delivery.ended)).reason, "stopped");
});

test("targets change while a stream is on its way, and over a cut", async () => {
  const { clock, network, sender } = reached();
  network.streams.set("large", new Uint8Array(100_000));
  const delivery = sender.open("large", { bytes: 50_000 });
  await clock.until(() => delivery.length > 3000);
  delivery.update({ bytes: 60_000, weight: 2 });
  network.last.socket.cut(1006);
  await clock.until(() => network.conversations.length === 2);
  delivery.update({ bytes: 70_000 });
  assert.deepEqual(await clock.settled(delivery.ended), { reason: "target", length: 70_000 });
  delivery.update({ bytes: 80_000 });
  const open = network.last.heard[1];
  assert.equal(open.type === "OPEN" && open.bytes, 60_000);
});

test("an update that crosses the end of the stream is not in vain", async () => {
  const { clock, network, sender } = reached();
  const delivery = sender.open("photo.jpg", { bytes: 300 });
  await clock.until(() => delivery.length === 300);
  delivery.update({ bytes: 600 });
  assert.deepEqual(await clock.settled(delivery.ended), { reason: "target", length: 600 });
  assert.equal(network.last.heard.filter(({ type }) => type === "OPEN").length, 2);
  assert.equal(network.sent, 600);
});

test("what cannot be is said at once", async () => {
  const { sender, clock } = reached();
  assert.throws(() => sender.open("../secret"), { name: "LocalProtocolError" });
  assert.throws(() => sender.open("a", { psnr: 101 }), { name: "LocalProtocolError" });
  const delivery = sender.open("photo.jpg");
  assert.throws(() => delivery.update({ weight: 0 }), { name: "LocalProtocolError" });
  assert.throws(() => connect(URL, { models: ["x"] }), { name: "LocalProtocolError" });
  for (const url of ["sender", "http://sender", ""])
    assert.throws(() => connect(url), { name: "AddressError" });
  await clock.settled(delivery.ended);
});

test("no such picture, another picture", async () => {
  const { clock, sender } = reached();
  const delivery = sender.open("nothing.png");
  const got = taken(delivery);
  const unknown = { name: "UnknownImage", code: "unknown-image", retry: false };
  await assert.rejects(clock.settled(delivery.ended), unknown);
  await turn();
  assert.equal(got.error?.name, "UnknownImage");
  const other = sender.open("photo.jpg", { held: Uint8Array.of(1, 2, 3) });
  await assert.rejects(clock.settled(other.ended), { name: "PeerError", code: "prefix-mismatch" });
  assert.equal(sender.status, "connected");
});

test("what may succeed later is asked for again", async () => {
  const { clock, network, sender } = reached({ patience: 60 });
  await clock.settled(sender.catalogue());
  network.latency = 10;
  const delivery = sender.open("photo.jpg");
  const busy = {
    type: /** @type {const} */ ("ERROR"),
    code: "busy",
    message: "too many",
    retry: true,
  };
  network.last.say({ ...busy, stream: 1 });
  await clock.settled(delivery.ended.catch(() => {}));
  assert.deepEqual(await delivery.ended, { reason: "complete", length: 700 });
});

test("a sender that leaves is waited for", async () => {
  const { clock, network, sender, said } = reached();
  network.streams.set("large", new Uint8Array(20_000));
  const [one, other] = [sender.open("large"), sender.open("photo.jpg")];
  await clock.until(() => one.length > 1000);
  const left = clock.now();
  network.last.goAway();
  const late = sender.open("harbour/crane.png");
  await clock.settled(Promise.all([one.ended, other.ended, late.ended]));
  assert.equal(network.conversations.length, 2);
  assert.deepEqual([one.length, other.length, late.length], [20_000, 700, 300]);
  // GOAWAY says four seconds, and half of that is drawn.
  assert.ok(clock.now() - left > 2);
  const leaving = "the sender is shutting down";
  assert.deepEqual(said, [
    "connected",
    `waiting: ${leaving}`,
    `connecting: ${leaving}`,
    "connected",
  ]);
});

test("a sender that ends its streams without a word, or closes", async () => {
  const { clock, network, sender } = reached();
  network.streams.set("large", new Uint8Array(20_000));
  const delivery = sender.open("large");
  await clock.until(() => delivery.length > 1000);
  network.last.end(1, "draining");
  await clock.until(() => network.conversations.length === 2);
  await clock.until(() => delivery.length > 5000);
  network.last.socket.cut(1001);
  assert.equal((await clock.settled(delivery.ended)).length, 20_000);
  assert.equal(network.conversations.length, 3);
});

test("nobody there: what to try, and longer and longer waits", async () => {
  const { clock, network, sender, said } = reached({}, { mood: "refused" });
  const delivery = sender.open("photo.jpg");
  await clock.pass(60);
  assert.match(said[0], /^waiting: no answer from ws:\/\/sender.example:8765\/.*diffc-server/);
  assert.equal(sender.status, "waiting");
  assert.ok(sender.retryIn !== null && sender.retryIn > 0);
  // Waits of a quarter of a second, a half, ... fifteen seconds.
  const attempts = said.filter((text) => text.startsWith("connecting")).length;
  assert.ok(attempts >= 7 && attempts <= 9, String(attempts));
  network.mood = null;
  await clock.until(() => sender.status === "waiting");
  sender.retry();
  assert.equal(sender.retryIn, null);
  await clock.settled(delivery.ended);
  assert.equal(sender.error, null);
});

test("patience has an end if one is set", async () => {
  const { clock, sender } = reached({ patience: 10 }, { mood: "refused" });
  const delivery = sender.open("photo.jpg");
  await assert.rejects(clock.settled(delivery.ended), { name: "LinkLost" });
  assert.equal(sender.status, "closed");
  await assert.rejects(sender.catalogue(), { name: "LinkLost" });
  await assert.rejects(sender.open("photo.jpg").ended, { name: "LinkLost" });
});

test("a page of another site is told what would let it in", async (t) => {
  t.after(() => Reflect.deleteProperty(globalThis, "location"));
  for (const [origin, told] of [
    ["https://mine.example", true],
    ["http://sender.example:8765", false],
    ["null", false],
  ]) {
    const host = String(origin).replace(/^https?:\/\//, "");
    Object.defineProperty(globalThis, "location", { value: { origin, host }, configurable: true });
    const { clock, sender, said } = reached({}, { mood: "refused" });
    await clock.until(() => sender.status === "waiting");
    assert.equal(said[0].includes(`start it with --origin ${origin}`), told);
    sender.close();
  }
});

test("a handshake that never ends", async () => {
  const { clock, sender, said } = reached({}, { mood: "silent" });
  await clock.until(() => sender.status === "waiting");
  assert.match(said[0], /did not answer within 120 s/);
});

test("a sender that falls silent", async () => {
  const { clock, network, sender } = reached({ terms: { idle: 8 } }, { mood: "deaf" });
  await clock.until(() => sender.status === "waiting");
  assert.match(sender.error?.message ?? "", /nothing heard from the sender for 8 s/);
  network.mood = null;
  await clock.until(() => sender.status === "connected");
});

test("an idle link is kept alive", async () => {
  const { clock, network, sender } = reached({ terms: { idle: 1e4 } });
  await clock.pass(100);
  const alive = network.last.heard.filter(({ type }) => type === "ALIVE");
  assert.ok(alive.length >= 4);
  assert.equal(sender.status, "connected");
  assert.equal(clock.pending, 1);
});

test("somebody else's WebSocket", async () => {
  const { clock, sender } = reached({}, { mood: "foreign" });
  await assert.rejects(clock.settled(sender.catalogue()), /does not speak diffc-stream.v1/);
  assert.equal(sender.status, "closed");
});

test("an address that pages may not reach", async () => {
  const clock = new VirtualClock();
  const { WebSocket } = new Network(clock);
  const sender = connect("ws://insecure", { WebSocket, clock });
  await assert.rejects(clock.settled(sender.catalogue()), { name: "AddressError" });
});

test("nonsense from a sender that was one of ours is damage", async () => {
  const { clock, network, sender, said } = reached();
  await clock.settled(sender.catalogue());
  for (const nonsense of ["text", Uint8Array.of(0x10, 1, 2, 3, 4, 5, 6)]) {
    network.last.socket.deliver(nonsense);
    await clock.until(() => sender.status === "waiting");
    assert.match(said.at(-1) ?? "", /waiting: the connection to the sender was damaged/);
    await clock.until(() => sender.status === "connected");
  }
  network.last.socket.deliver("text");
  const delivery = sender.open("photo.jpg");
  await clock.settled(delivery.ended);
});

test("nonsense from a stranger is not tried again", async () => {
  const { clock, network, sender } = reached({}, { mood: "deaf" });
  const listed = sender.catalogue();
  await clock.until(() => network.conversations.length === 1);
  network.last.socket.deliver("text");
  await assert.rejects(clock.settled(listed), { name: "RemoteProtocolError" });
  assert.equal(sender.status, "closed");
});

test("a sender that refuses the connection says why", async () => {
  const { clock, network, sender } = reached({}, { mood: "deaf" });
  await clock.until(() => network.conversations.length === 1);
  const error = {
    type: /** @type {const} */ ("ERROR"),
    stream: 0,
    code: "unsupported",
    message: "no",
  };
  network.last.say(error);
  await clock.until(() => sender.status === "closed");
  assert.equal(sender.error?.message, "the peer says: no [unsupported]");
});

test("the reason of a close is passed on", async () => {
  const { clock, network, sender } = reached();
  await clock.settled(sender.catalogue());
  network.last.socket.cut(1011, "sender\n gone");
  await clock.until(() => sender.status === "waiting");
  assert.equal(sender.error?.message, "the connection to the sender was lost: sender gone");
});

test("closed on this side", async () => {
  const { clock, sender, said } = reached();
  const delivery = sender.open("photo.jpg");
  const got = taken(delivery);
  const listed = sender.catalogue();
  sender.close();
  sender.close();
  sender.retry();
  await assert.rejects(delivery.ended, /closed on this side/);
  await assert.rejects(listed, /closed on this side/);
  await turn();
  assert.equal(got.error?.name, "LinkLost");
  assert.deepEqual(said, ["closed"]);
  assert.ok(clock.pending <= 1);
});

test("closing from within a call is no harm", async () => {
  const { clock, sender } = reached();
  sender.onstatus = () => sender.close();
  await assert.rejects(clock.settled(sender.catalogue()), /closed on this side/);
});

test("statistics", async () => {
  const { clock, network, sender } = reached({}, { latency: 0.25, frame: 500 });
  assert.deepEqual(sender.statistics(), {
    received: 0,
    rate: 0,
    roundTrip: null,
    capacity: null,
    connections: 0,
  });
  network.streams.set("large", new Uint8Array(60_000));
  await clock.settled(sender.open("large").ended);
  const { received, rate, roundTrip, capacity, connections } = sender.statistics();
  assert.ok(received > 60_000 && received < 62_000);
  assert.ok(rate > 1000 && rate <= received);
  assert.equal(roundTrip, 0.5);
  assert.ok(capacity !== null && capacity > 1000);
  assert.equal(connections, 1);
  await clock.pass(10);
  assert.equal(sender.statistics().rate, 0);
  sender.close();
  assert.equal(sender.statistics().capacity, capacity);
});

test("a token is shown as a second subprotocol, and to nobody on the way", () => {
  /** @type {string[][]} */
  const offered = [];
  const clock = new VirtualClock();
  class WebSocket extends new Network(clock).WebSocket {
    /** @param {string} url @param {string[]} protocols */
    constructor(url, protocols) {
      super(url, protocols);
      offered.push(protocols);
    }
  }
  for (const url of [
    "wss://sender.example",
    "ws://localhost:8765",
    "ws://127.0.0.1:1",
    "ws://[::1]:1",
  ])
    connect(url, { WebSocket, clock, token: "a-B_3" }).close();
  assert.deepEqual(offered, Array(4).fill(["diffc-stream.v1", "bearer.a-B_3"]));
  for (const url of [URL, "ws://localhost.example", "ws://127.evil.example"])
    assert.throws(() => connect(url, { WebSocket, clock, token: "a" }), { name: "AddressError" });
  for (const token of ["", "a b", "a,b", "é"])
    assert.throws(() => connect("wss://a", { WebSocket, clock, token }), {
      name: "LocalProtocolError",
    });
});
