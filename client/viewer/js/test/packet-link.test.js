import assert from "node:assert/strict";
import { test } from "node:test";

import { AddressError } from "../src/errors.js";
import { PacketLink } from "../src/packets/link.js";
import { VirtualClock } from "./network.js";

/** Sockets that have been opened, of which tests say what happens. @type {Socket[]} */
const sockets = [];

class Socket {
  binaryType = "";
  protocol = "";
  readyState = 0;
  closed = false;
  /** @type {((event: any) => void) | null} */ onopen = null;
  /** @type {((event: any) => void) | null} */ onmessage = null;
  /** @type {((event: any) => void) | null} */ onclose = null;
  /** @type {((event: any) => void) | null} */ onerror = null;

  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) {
    this.asked = [url, ...protocols];
    sockets.push(this);
  }

  send() {}

  close() {
    this.closed = true;
  }
}

function linked() {
  const clock = new VirtualClock();
  /** @type {string[]} */
  const said = [];
  /** @type {Uint8Array[]} */
  const packets = [];
  const link = new PacketLink("ws://relay:8080/", {
    onPacket: (packet) => packets.push(packet),
    onStatus: (status, error) => said.push(error ? `${status}: ${error.message}` : status),
    WebSocket: Socket,
    clock,
    draw: () => 1,
  });
  return { clock, link, said, packets, socket: /** @type {Socket} */ (sockets.at(-1)) };
}

test("packets come one in each message", () => {
  const { link, said, packets, socket } = linked();
  assert.deepEqual(socket.asked, ["ws://relay:8080/", "diffc-packets.v1"]);
  assert.equal(socket.binaryType, "arraybuffer");
  socket.onopen?.({});
  socket.onmessage?.({ data: Uint8Array.of(1, 2, 3).buffer });
  socket.onmessage?.({ data: "text" });
  socket.onmessage?.({ data: new ArrayBuffer(1401) });
  assert.deepEqual(packets, [Uint8Array.of(1, 2, 3)]);
  assert.deepEqual(said, ["connecting", "connected"]);
  assert.equal(link.statistics().received, 5 + 1405);
  assert.equal(link.retryIn, null);
});

test("a link that breaks is made again, sooner if that is wanted", async () => {
  const { clock, link, said, socket } = linked();
  socket.onopen?.({});
  socket.onclose?.({});
  assert.equal(link.retryIn, 0.5);
  await clock.pass(0.5);
  assert.equal(sockets.at(-1)?.closed, false);
  assert.notEqual(sockets.at(-1), socket);
  sockets.at(-1)?.onclose?.({});
  const count = sockets.length;
  link.retry();
  link.retry();
  assert.equal(sockets.length, count + 1);
  sockets.at(-1)?.onopen?.({});
  assert.equal(clock.pending, 0);
  const waiting = "waiting: the connection to the relay of packets was lost";
  const expected = ["connected", waiting, "connecting", waiting, "connecting", "connected"];
  assert.deepEqual(said, ["connecting", ...expected]);
});

test("a relay that does not answer is dialled again", async () => {
  const { clock, link, said, socket } = linked();
  await clock.pass(120);
  assert.equal(socket.closed, true);
  assert.equal(link.status, "waiting");
  assert.match(said.at(-1) ?? "", /did not answer within 120 s/);
  await clock.pass(0.5);
  // Some platforms send no close event after an error.
  sockets.at(-1)?.onerror?.({});
  assert.equal(link.retryIn, 1);
  assert.match(said.at(-1) ?? "", /was lost/);
});

test("a closed link says nothing more", () => {
  const { clock, link, said, packets, socket } = linked();
  link.close();
  assert.equal(socket.closed, true);
  socket.onopen?.({});
  socket.onmessage?.({ data: new ArrayBuffer(3) });
  socket.onclose?.({});
  assert.deepEqual([said, packets], [["connecting", "closed"], []]);
  assert.equal(clock.pending, 0);
});

test("addresses that are none are refused", () => {
  for (const url of ["http://relay", "ws://", "relay:8080"]) {
    assert.throws(() => new PacketLink(url, { onPacket: () => {} }), AddressError);
  }
});
