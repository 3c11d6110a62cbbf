import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { History } from "../src/codec/history.js";
import { decibel } from "../src/codec/forecast.js";
import { rendered } from "../src/codec/rendering.js";
import { crc32c } from "../src/crc32c.js";
import { StreamReader } from "../src/container/reader.js";
import { CorruptStream, NothingDecodable } from "../src/errors.js";
import { coefficient, solved } from "../src/packets/erasure.js";
import { parsePacket } from "../src/packets/grammar.js";
import { PacketReceiver } from "../src/packets/receiver.js";
import { bytes, hex } from "./golden.js";
import { VECTORS, byScale, gaussian, near } from "./vectors.js";

/** @typedef {import("../src/packets/stream.js").Part} Part */

const PACKET = bytes(VECTORS.broadcasts[0].seen[1].packet);
const [STREAM] = VECTORS.streams.map((/** @type {{ data: string }} */ { data }) => bytes(data));

/** @param {Part[]} parts */
function told(parts) {
  return parts.map((part) => (typeof part === "number" ? part : hex(part)));
}

/** Return the same packet with another place and body, and a check that is right. */
function forged(/** @type {number} */ place, /** @type {number} */ value) {
  const packet = PACKET.slice();
  packet.fill(value, 7);
  packet[3] = place;
  const check = crc32c(packet.subarray(7), crc32c(packet.subarray(0, 5)));
  packet[5] = check & 0xff;
  packet[6] = (check >> 8) & 0xff;
  return packet;
}

for (const { name, station, seen } of VECTORS.broadcasts) {
  test(`the ${name} stream in packets shows what Python shows of it`, async () => {
    const receiver = new PacketReceiver();
    const denoiser = name === "shaped" ? byScale : gaussian({ height: 64, width: 64 });
    let history = new History();
    for (const known of seen) {
      assert.equal(receiver.take(bytes(known.packet)), known.outcome);
      if (!known.parts) continue;
      const gathered = receiver.newest;
      assert.ok(gathered);
      assert.deepEqual([gathered.pieces, gathered.missing], [known.pieces, known.missing]);
      assert.deepEqual(told(gathered.parts()), known.parts);
      if (!known.picture) continue;
      const next = new History();
      next.assemble(gathered.parts(), history);
      history = next;
      const { chain, after, bytes: shown } = await history.newest(denoiser);
      const picture = await rendered(chain, after, {});
      const values = picture.pixels.filter((_, i) => i % 4 !== 3);
      near(values, known.picture, 1, VECTORS.every);
      assert.equal(shown, known.bytes);
      near([decibel(after.expected.error)], [known.predictedPsnr], 1e-9);
    }
    assert.equal(receiver.station, station);
  });
}

describe("packets", () => {
  test("what was computed for fewer packets is not computed again", async () => {
    let evaluations = 0;
    const exact = gaussian({ height: 64, width: 64 });
    /** @type {import("../src/codec/estimator.js").Denoiser} */
    const counted = (eta, size, snr) => {
      evaluations += 1;
      return exact(eta, size, snr);
    };
    /** @param {Part[]} parts @param {History} [earlier] */
    const assembled = async (parts, earlier = new History()) => {
      const history = new History();
      history.assemble(parts, earlier);
      evaluations = 0;
      await history.newest(counted);
      return history;
    };
    const parts = [STREAM.slice(0, 700), 20, STREAM.slice(720, 1400)];
    const first = await assembled(parts);
    const before = evaluations;
    await assembled(parts, first);
    assert.equal(evaluations, 0);
    const again = await assembled([STREAM.slice(0, 1400)], first);
    assert.ok(evaluations > 0 && evaluations < before / 2, `${evaluations} of ${before}`);
    await assert.rejects(assembled([], again), NothingDecodable);
  });

  test("a step is as long as it says, whatever is lost of it", () => {
    const header = STREAM.slice(0, 13);
    const described = Uint8Array.of(0x10, 0xd8, 0x04, 54); // a refinement of 600 bytes, two segments
    for (const [first, size] of [
      [100, 400],
      [0, 299],
      [299, 2],
      [0, 500],
    ]) {
      const reader = new StreamReader();
      const events = [
        ...reader.feed(Uint8Array.of(...header, ...described, ...new Uint8Array(first))),
        ...reader.skip(size),
        ...reader.feed(new Uint8Array(600 - first - size)),
      ];
      let [there, lost] = [0, 0];
      for (const event of events) {
        if (event.type === "payload") there += event.data.length;
        if (event.type === "lost") lost += event.size;
      }
      assert.deepEqual([there, lost], [600 - size, size]);
    }
    const reader = new StreamReader();
    assert.ok([...reader.feed(header)].length);
    assert.throws(() => [...reader.skip(10)], CorruptStream);
  });

  test("what is no packet, or not as it was sent, is damaged", () => {
    assert.ok(parsePacket(PACKET));
    for (let bit = 0; bit < 8 * PACKET.length; bit++) {
      const damaged = PACKET.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(parsePacket(damaged), null, `bit ${bit}`);
    }
    const receiver = new PacketReceiver();
    for (const data of [PACKET.subarray(0, 63), new Uint8Array(), new Uint8Array(1401)]) {
      assert.equal(receiver.take(data), "damaged");
    }
    assert.equal(receiver.newest, null);
  });

  test("packets of other streams are foreign if one is wanted", () => {
    const { stream = 0 } = parsePacket(PACKET) ?? {};
    assert.equal(new PacketReceiver({ wanted: stream }).take(PACKET), "new");
    assert.equal(new PacketReceiver({ wanted: stream ^ 1 }).take(PACKET), "foreign");
  });

  test("of many streams the newest eight are held", () => {
    const receiver = new PacketReceiver();
    for (let stream = 0; stream < 20; stream++) {
      const packet = PACKET.slice();
      packet[1] = stream;
      const check = crc32c(packet.subarray(7), crc32c(packet.subarray(0, 5)));
      packet[5] = check & 0xff;
      packet[6] = (check >> 8) & 0xff;
      assert.equal(receiver.take(packet), "new");
    }
    assert.equal(receiver.streams.size, 8);
  });

  test("pieces that cannot be of the stream are forgotten when all are there", () => {
    const receiver = new PacketReceiver();
    for (let place = 0; place < 30; place++) receiver.take(forged(place, 0x20));
    assert.notEqual(receiver.newest?.complete, true);
  });

  test("any repairs as many as pieces are missing tell them", () => {
    const pieces = Array.from({ length: 9 }, (_, i) =>
      Uint8Array.from({ length: 20 }, (_, j) => (31 * i + 7 * j * j + 5) % 256),
    );
    /** @param {number} window @param {number} draw */
    const repair = (window, draw) => {
      const body = new Uint8Array(20);
      for (let j = 0; j < 20; j++) {
        for (let i = 0; i < window; i++) body[j] ^= product(coefficient(draw, i), pieces[i][j]);
      }
      return { window, draw, body };
    };
    const missing = [0, 3, 8];
    const known = new Map(pieces.map((piece, i) => [i, piece]));
    for (const number of missing) known.delete(number);
    const repairs = [repair(5, 3), repair(9, 100), repair(9, 7)];
    assert.equal(solved(missing, repairs.slice(1), known), null);
    const found = solved(missing, repairs, known);
    for (const number of missing) assert.deepEqual(found?.get(number), pieces[number]);
  });
});

/** Multiply two elements of the field, bit by bit. */
function product(/** @type {number} */ a, /** @type {number} */ b) {
  let result = 0;
  for (; b; b >>= 1) {
    if (b & 1) result ^= a;
    a = (a << 1) ^ (a & 0x80 ? 0x11d : 0);
  }
  return result;
}
