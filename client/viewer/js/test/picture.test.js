/** <diffc-picture> where there are no elements, and the addresses that it takes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parted, source } from "../src/element/stream.js";
import { AddressError } from "../src/errors.js";
import { configure, DiffcPicture, translate } from "../src/picture.js";

test("programs that render pages on a server may import it", () => {
  assert.equal(typeof DiffcPicture, "function");
  configure({ models: "/models/" });
  translate({});
});

test("addresses of files and of senders, and others", () => {
  for (const src of ["a.dfc", "/x/a.dfc?signed=1#y", "https://b.example/a.dfc", "ws://b/a.jpg"]) {
    assert.equal(typeof source(src, "https://a.example/page/").read, "function");
  }
  for (const src of ["ftp://a/b", "http://[", "data:,x", "ws://b.example/", "ws://b/%ff"]) {
    assert.throws(() => source(src, "https://a.example/"), AddressError, src);
  }
});

test("a sender's picture, also of one below a path", () => {
  const parts = (/** @type {string} */ url) => Object.values(parted(new URL(url)));
  assert.deepEqual(parts("ws://h:8765/by%20day/a.jpg"), ["ws://h:8765/", "by day/a.jpg"]);
  assert.deepEqual(parts("wss://h/cam1//a%3F.jpg"), ["wss://h/cam1/", "a?.jpg"]);
});
