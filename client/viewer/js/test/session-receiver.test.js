/** Conversations in which a receiver's session says what the one in Python said, and when. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SessionError } from "../src/errors.js";
import { encode } from "../src/session/messages.js";
import { ReceiverSession } from "../src/session/receiver.js";
import { CONNECTION, STREAM } from "../src/session/state.js";
import { numbers } from "./numbers.js";
import { bytes, golden, hex } from "./golden.js";

const VECTORS = golden("conversations.json");

test("the tables of states are those of Python", () => {
  for (const [name, table] of Object.entries({ connection: CONNECTION, stream: STREAM })) {
    const rows = Object.entries(table).flatMap(([state, triggers]) =>
      Object.entries(triggers).map(([trigger, after]) => [state, trigger, after]),
    );
    assert.deepEqual(rows, VECTORS[name]);
  }
});

for (const conversation of VECTORS.conversations)
  test(conversation.name, () => {
    const session = new ReceiverSession(conversation);
    for (const [index, step] of conversation.steps.entries())
      assert.deepEqual(outcome(session, step), expected(step), `step ${index}`);
  });

test("a window that no message may have", () => {
  for (const window of [511, 65_537, NaN])
    assert.throws(() => new ReceiverSession({ now: 0, terms: { window, idle: 60 } }), {
      name: "LocalProtocolError",
    });
});

test("only so many models and words fit a greeting", () => {
  const session = new ReceiverSession({
    now: 0,
    models: Array(20).fill("0a1b2c3d"),
    capabilities: Array(20).fill("word"),
  });
  assert.equal(session.transmit(0).length, 1);
});

test("what the link is like", () => {
  const session = new ReceiverSession({ now: 0 });
  assert.equal(session.roundTrip, null);
  session.receive(encode({ type: "WELCOME", window: 8192, idle: 60, streams: 4 }), 0.5);
  assert.equal(session.roundTrip, 0.5);
  const stream = session.open("photo");
  for (const [offset, rate] of [
    [0, null],
    [1000, null],
    [2000, 1000],
  ]) {
    const payload = new Uint8Array(1000);
    session.receive(encode({ type: "DATA", stream, offset, payload }), 1 + Number(offset) / 1000);
    assert.equal(session.rate, rate);
  }
});

test("20,000 damaged messages raise nothing but the documented errors", () => {
  const random = numbers(1);
  const said = golden("messages.json").messages.map((/** @type {any} */ { hex }) => bytes(hex));
  const heard = [
    encode({ type: "DATA", stream: 1, offset: 0, payload: Uint8Array.of(1) }),
    encode({ type: "DATA", stream: 1, offset: 1, payload: new Uint8Array(900) }),
    encode({ type: "END", stream: 1, reason: "target", length: 901 }),
    encode({ type: "CATALOGUE", images: [], last: false }),
    ...said,
  ];
  /** @type {Record<string, number>} */
  const errors = {};
  let session = fresh();
  for (let i = 0; i < 20_000; i++) {
    const data = heard[random(random(2) ? heard.length : 4)].slice();
    if (random(4) === 0) data[random(data.length)] = random(256);
    try {
      session.receive(data, i);
    } catch (error) {
      assert.ok(error instanceof SessionError);
      assert.doesNotMatch(error.message, /\n/);
      errors[error.name] = (errors[error.name] ?? 0) + 1;
    }
    session.transmit(i);
    session.nextTimeout();
    if (session.closed || random(20) === 0) session = fresh();
  }
  assert.deepEqual(Object.keys(errors).sort(), ["PeerError", "RemoteProtocolError"]);
});

/** Return a session that waits for a catalogue and two streams. */
function fresh() {
  const session = new ReceiverSession({ now: 0 });
  session.receive(encode({ type: "WELCOME", window: 8192, idle: 60, streams: 4 }), 0);
  session.list();
  session.open("photo");
  session.open("another", { target: { bytes: 1000 } });
  return session;
}

/**
 * Do what a step says and return what comes of it.
 *
 * @param {ReceiverSession} session
 * @param {any} step
 */
function outcome(session, step) {
  /** @type {any} */
  const found = {};
  try {
    found.result = take(session, step);
  } catch (error) {
    assert.ok(error instanceof Error);
    found.error = [error.name, error.message];
  }
  found.out = session.transmit(step.now).map(hex);
  found.next = session.nextTimeout();
  found.current = session.current;
  found.streams = session.streams;
  found.closed = session.closed;
  return found;
}

/** @param {any} step */
function expected({ result, error, out, next, current, streams, closed }) {
  const came = error ? { error } : { result };
  return { ...came, out, next, current, streams, closed };
}

/**
 * @param {ReceiverSession} session
 * @param {any} step
 */
function take(session, step) {
  switch (step.do) {
    case "receive":
      return session.receive(arrived(step), step.now)?.type ?? null;
    case "open":
      return session.open(step.image, step);
    case "update":
      return session.update(step.stream, step);
    case "stop":
      return session.stop(step.stream) ?? null;
    case "list":
      return session.list(step) ?? null;
    case "timeout":
      return session.handleTimeout(step.now) ?? null;
  }
  return null;
}

/** @param {{ text?: string, hex?: string, zeros?: [number, number, number] }} step */
function arrived({ text, hex: digits, zeros }) {
  if (text !== undefined) return text;
  if (digits !== undefined) return bytes(digits);
  const [stream, offset, size] = zeros ?? [0, 0, 0];
  return encode({ type: "DATA", stream, offset, payload: new Uint8Array(size) });
}
