/**
 * What passes between the threads of a page: messages, and errors, which lose their classes there.
 *
 * @module
 */

import * as errors from "./errors.js";

/**
 * An error as data.
 *
 * @typedef {{ name: string, message: string, details: Record<string, unknown> }} ErrorData
 */

/**
 * What the worker receives.
 *
 * @typedef {{ type: "configure", setup: import("./models.js").Setup }
 *   | { type: "model", fingerprint: string, files?: import("./models.js").Files | null }
 *   | { type: "reference", search: number, data: Uint8Array | null }
 *   | { type: "load", fingerprint: string }
 *   | { type: "limit", pixels: number }
 *   | { type: "feed", picture: number, data: Uint8Array }
 *   | { type: "assemble", picture: number, parts: import("./packets/stream.js").Part[] }
 *   | { type: "render", picture: number, request: number, wish: import("./pictures.js").Wish,
 *       progress: boolean }
 *   | { type: "clip", picture: number, data: Uint8Array }
 *   | { type: "frame", picture: number, request: number,
 *       wish: import("./clips/pictures.js").FrameWish }
 *   | { type: "priority", picture: number, priority: number }
 *   | { type: "close", picture: number }} Incoming
 */

/**
 * What it sends.
 *
 * @typedef {{ type: "model", fingerprint: string }
 *   | { type: "reference", picture: number, search: number,
 *       reference: import("./container/reference.js").Named }
 *   | { type: "rendered", request: number, shown: import("./pictures.js").Shown,
 *       info: import("./models.js").Info | null }
 *   | { type: "framed", request: number, frame: import("./clips/pictures.js").Frame | null,
 *       info: import("./models.js").Info | null }
 *   | { type: "progress", request: number, fraction: number }
 *   | { type: "failed", request: number, error: ErrorData }} Outgoing
 */

/**
 * Return an error as data.
 *
 * @param {unknown} error
 * @returns {ErrorData}
 */
export function asData(error) {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), details: {} };
  const { name, message, ...rest } = error;
  const details = error instanceof errors.DiffcError ? rest : {};
  return { name, message: message.split("\n")[0], details };
}

/**
 * Return the error that asData() converted, of the same class if it is one of this package.
 *
 * @param {ErrorData} data
 */
export function revived({ name, message, details }) {
  const named = /** @type {Record<string, typeof errors.DiffcError>} */ (
    /** @type {unknown} */ (errors)
  );
  const shape = Object.hasOwn(named, name) ? named[name] : errors.DiffcError;
  const error = Object.assign(new errors.DiffcError(message), details);
  error.name = name;
  return Object.setPrototypeOf(error, shape.prototype);
}
