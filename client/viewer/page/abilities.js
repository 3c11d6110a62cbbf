/**
 * What this browser can do, as far as pictures depend on it.
 *
 * @module
 */

// A module with one function that returns a vector: what does not know vectors refuses it.
const VECTORS = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);
const MOST_THREADS = 4;

/** Whether pictures can be decoded at all. */
export function decodes() {
  return (
    typeof Worker === "function" && typeof WebAssembly === "object" && WebAssembly.validate(VECTORS)
  );
}

/** Whether WebAssembly can wait for the GPU, which the runtime's smaller build for it needs. */
export function suspends() {
  return typeof WebAssembly === "object" && "Suspending" in WebAssembly;
}

/** How many threads decoding may use: more than one only in a page that is isolated. */
export function threads() {
  if (!globalThis.crossOriginIsolated || typeof SharedArrayBuffer !== "function") return 1;
  return Math.max(1, Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1));
}

/** Why there is but one thread, for people; null if there are more. */
export function whyOneThread() {
  if (threads() > 1 || (navigator.hardwareConcurrency || 1) === 1) return null;
  return globalThis.crossOriginIsolated
    ? "this browser shares no memory between threads"
    : "this page is not isolated, so the browser allows one thread; open it by localhost or https";
}
