/**
 * Passes errors between threads, where messages lose their classes.
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
