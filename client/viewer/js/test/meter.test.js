/** What has come over the wire, and how fast. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Meter } from "../src/meter.js";

test("frames count", () => {
  const meter = new Meter();
  for (const bytes of [0, 125, 126, 65_535, 65_536]) meter.arrived(bytes, 0);
  assert.equal(meter.received, 0 + 125 + 126 + 65_535 + 65_536 + 2 + 2 + 4 + 4 + 10);
});

test("a rate over the last seconds", () => {
  const meter = new Meter();
  assert.equal(meter.rate(0), 0);
  for (let now = 0; now < 20; now += 0.5) meter.arrived(496, now);
  assert.equal(meter.rate(20), (9 * 500) / 5);
  assert.equal(meter.rate(22), (5 * 500) / 5);
  assert.equal(meter.rate(30), 0);
});

test("at the beginning the time is short, but not too short", () => {
  const meter = new Meter();
  meter.arrived(996, 10);
  assert.equal(meter.rate(10), 1000);
  meter.arrived(996, 12);
  assert.equal(meter.rate(12), 1000);
});

test("many messages at once take no memory", () => {
  const meter = new Meter();
  for (let i = 0; i < 1e5; i++) meter.arrived(96, i / 1e5);
  assert.ok(Math.abs(meter.rate(1) - 98e5) < 1);
});
