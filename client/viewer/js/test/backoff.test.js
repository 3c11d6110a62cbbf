/** How long one waits before trying again. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../src/backoff.js";
import { LinkLost, PeerError, SenderLeaving } from "../src/errors.js";

const FAILURE = new LinkLost("gone");

test("waits grow, up to the longest", () => {
  const backoff = new Backoff({ first: 1, longest: 10, draw: () => 1 });
  assert.deepEqual(
    [0, 0, 0, 0, 0, 0].map((now) => backoff.pause(FAILURE, now)),
    [1, 2, 4, 8, 10, 10],
  );
  backoff.progress();
  assert.equal(backoff.pause(FAILURE, 0), 1);
});

test("waits are drawn", () => {
  const backoff = new Backoff({ draw: () => 0.25 });
  assert.equal(backoff.pause(FAILURE, 0), 0.125);
});

test("a sender that leaves says how long", () => {
  const backoff = new Backoff({ longest: 10, draw: () => 0.5 });
  assert.equal(backoff.pause(new SenderLeaving(6), 0), 3);
  assert.equal(backoff.pause(new SenderLeaving(60), 0), 5);
});

test("patience ends, and begins anew with progress", () => {
  const backoff = new Backoff({ patience: 5, draw: () => 0 });
  backoff.pause(FAILURE, 100);
  backoff.pause(FAILURE, 105);
  backoff.progress();
  backoff.pause(FAILURE, 106);
  assert.throws(() => backoff.pause(FAILURE, 112), FAILURE);
});

test("many failures are not too many", () => {
  const backoff = new Backoff({ draw: () => 1 });
  for (let i = 0; i < 2000; i++) backoff.pause(FAILURE, i);
  assert.equal(backoff.pause(FAILURE, 0), 30);
});

test("a sender that is busy says how long at least", () => {
  const backoff = new Backoff({ first: 1, draw: () => 0.5 });
  const busy = (/** @type {number} */ after) => new PeerError("busy", "!", { retry: true, after });
  assert.equal(backoff.pause(busy(7), 0), 7.5);
  assert.equal(backoff.pause(busy(86_400), 0), 601);
});
