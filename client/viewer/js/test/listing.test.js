/** A sender's pictures, followed: page by page, change by change, over links that break. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteProtocolError } from "../src/errors.js";
import { Listing, MOST_ENTRIES } from "../src/listing.js";
import { connect } from "../src/sender.js";
import { Network, turn, VirtualClock } from "./network.js";

const MARKS = ["0123456789abcdef", "fedcba9876543210"];

/** @param {string} name @param {string} [thumbprint] */
function entry(name, thumbprint = "00000000000000aa") {
  return { name, size: 1, time: 2, thumbprint };
}

/**
 * A page of a catalogue.
 *
 * @param {string[]} names
 * @param {Partial<import("../src/session/messages.js").Catalogue>} [more]
 * @returns {import("../src/session/messages.js").Catalogue}
 */
function page(names, more) {
  const images = names.map((name) => entry(name));
  const usual = { last: true, changes: false, removed: [], mark: null, left_out: 0 };
  return { type: "CATALOGUE", images, ...usual, ...more };
}

/** @param {string[]} capabilities */
function reached(capabilities) {
  const clock = new VirtualClock();
  const network = Object.assign(new Network(clock), { capabilities });
  network.streams.set("b.png", new Uint8Array(8)).set("a.png", new Uint8Array(8));
  const sender = connect("ws://sender.example", {
    WebSocket: network.WebSocket,
    clock,
    draw: () => 0,
  });
  /** @type {string[]} */
  const seen = [];
  /** @type {{ error: Error | null }} */
  const end = { error: null };
  (async () => {
    for await (const { entries, complete } of sender.follow()) {
      seen.push(entries.map(({ name }) => name).join(" ") + (complete ? "." : ""));
    }
  })().catch((error) => (end.error = error));
  return { clock, network, sender, seen, end };
}

/** @param {import("./network.js").Network} network */
function lists(network) {
  return network.last.heard.filter(({ type }) => type === "LIST");
}

test("pages, and then what changes", async () => {
  const { clock, network, sender, seen, end } = reached(["follow"]);
  await clock.until(() => seen.at(-1)?.endsWith(".") ?? false);
  assert.equal(seen.at(-1), "a.png b.png.");
  network.last.say(page(["c.png"], { changes: true, removed: ["b.png"], mark: MARKS[0] }));
  await clock.until(() => seen.at(-1) === "a.png c.png.");
  assert.deepEqual(
    (await sender.catalogue()).map(({ name }) => name),
    ["a.png", "c.png"],
  );
  assert.equal(lists(network).length, 1);
  sender.close();
  await turn();
  assert.match(String(end.error?.message), /closed on this side/);
  assert.equal(clock.pending, 0);
});

test("over a cut only what has changed is asked for", async () => {
  const { clock, network, seen } = reached(["follow"]);
  await clock.until(() => seen.at(-1) === "a.png b.png.");
  network.last.say(page(["c.png"], { changes: true, mark: MARKS[1] }));
  await clock.until(() => seen.at(-1) === "a.png b.png c.png.");
  network.last.socket.cut(1006);
  await clock.until(() => network.conversations.length === 2 && lists(network).length === 1);
  assert.deepEqual(lists(network)[0], { type: "LIST", follow: true, mark: MARKS[1] });
});

test("who does not go on is asked again", async () => {
  const { clock, network, sender, seen } = reached([]);
  await clock.until(() => seen.at(-1) === "a.png b.png.");
  network.streams.set("c.png", new Uint8Array(8));
  network.streams.delete("a.png");
  await clock.until(() => seen.at(-1) === "b.png c.png.");
  assert.equal(lists(network).length, 2);
  sender.close();
  assert.equal(clock.pending, 0);
});

test("who asked before, and who asks meanwhile", async () => {
  const clock = new VirtualClock();
  const network = Object.assign(new Network(clock), { capabilities: ["follow"] });
  network.streams.set("a.png", new Uint8Array(8));
  const sender = connect("ws://sender.example", { WebSocket: network.WebSocket, clock });
  await clock.until(() => sender.status === "connected");
  const before = sender.catalogue();
  const states = sender.follow();
  const first = await clock.settled(states.next());
  assert.deepEqual(await before, first.value?.entries);
  network.last.socket.cut(1006);
  await clock.until(() => sender.status === "waiting");
  const meanwhile = sender.catalogue();
  assert.deepEqual(await clock.settled(meanwhile), first.value?.entries);
  assert.deepEqual(
    lists(network).map((list) => "follow" in list && list.follow),
    [true],
  );
});

test("what a whole listing does not name is no more", () => {
  const listing = new Listing();
  listing.take(page(["a", "b"], { mark: MARKS[0], left_out: 3 }));
  listing.begin();
  listing.take(page(["b", "c"], { last: false }));
  assert.deepEqual(
    listing.entries.map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.equal(listing.complete, false);
  listing.take(page(["d"]));
  assert.deepEqual(
    listing.entries.map(({ name }) => name),
    ["b", "c", "d"],
  );
  assert.equal(listing.mark, null);
});

test("a sender without end is not believed", () => {
  const listing = new Listing();
  const images = Array.from({ length: MOST_ENTRIES }, (_, place) => entry(String(place)));
  listing.take({ ...page([]), images, last: false });
  assert.throws(() => listing.take(page(["one more"])), RemoteProtocolError);
});
