/**
 * The script of the worker of decoding.js.
 *
 * @module
 */

import { Pictures } from "./pictures.js";

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));
const pictures = new Pictures((message, transfer = []) => scope.postMessage(message, transfer));
scope.addEventListener("message", ({ data }) => pictures.take(data));
