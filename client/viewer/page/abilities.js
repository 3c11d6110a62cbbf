/**
 * Detects the abilities of the browser that decoding needs.
 *
 * @module
 */

// A module with one function that returns a vector: engines without SIMD reject it.
const VECTORS = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);
const MOST_THREADS = 4;

/** Return whether this browser can decode pictures. */
export function decodes() {
  return (
    typeof Worker === "function" && typeof WebAssembly === "object" && WebAssembly.validate(VECTORS)
  );
}

/** Return whether WebAssembly can be suspended (JSPI), as the runtime's smaller GPU build needs. */
export function suspends() {
  return typeof WebAssembly === "object" && "Suspending" in WebAssembly;
}

/** Return how many threads decoding may use: more than one only on an isolated page. */
export function threads() {
  if (!globalThis.crossOriginIsolated || typeof SharedArrayBuffer !== "function") return 1;
  return Math.max(1, Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1));
}

/** Return the text that says why there is a single thread; null if there are more. */
export function whyOneThread() {
  if (threads() > 1 || (navigator.hardwareConcurrency || 1) === 1) return null;
  return globalThis.crossOriginIsolated
    ? "this browser shares no memory between threads"
    : "this page is not isolated, so the browser allows one thread; open it by localhost or https";
}
