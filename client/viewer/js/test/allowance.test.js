import assert from "node:assert/strict";
import { test } from "node:test";

import { FREE, PER_BYTE, check } from "../src/codec/allowance.js";
import { Decoder } from "../src/codec/decoder.js";
import { History } from "../src/codec/history.js";
import { CorruptStream } from "../src/errors.js";
import { bytes } from "./golden.js";

/** A stream of 100x100 pixels whose steps are as short as there are: two bytes an evaluation. */
const BOMB = bytes("4446431000000001646400404b1001280040004000400010012800" + "8000".repeat(200));

test("work is paid for in bytes, but for the first of it", () => {
  check(FREE, 0);
  check(FREE + PER_BYTE, 1);
  assert.throws(() => check(FREE + 1, 0), CorruptStream);
});

test("a decoder computes no more than bytes are worth", async () => {
  let pixels = 0;
  /** @type {import("../src/codec/estimator.js").Denoiser} */
  const denoiser = async (eta, { height, width }) => {
    pixels += height * width;
    return eta.map((value) => value / 2);
  };
  const fingerprint = "00000001";
  const decoder = new Decoder(new Map([[fingerprint, { fingerprint, denoiser }]]));
  await assert.rejects(decoder.feed(BOMB), {
    name: "CorruptStream",
    message: /more to compute than so few bytes are worth \(at byte 132\)/,
  });
  assert.ok(pixels <= FREE + PER_BYTE * BOMB.length + 100 * 100);
});

test("nor does a history, which parses before it computes", () => {
  const history = new History();
  history.feed(BOMB);
  assert.match(String(history.failure), /more to compute than so few bytes are worth/);
});
