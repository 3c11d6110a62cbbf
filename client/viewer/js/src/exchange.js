/**
 * One HTTP request, which counts as lost when nothing comes for a minute.
 *
 * @module
 */

import { LinkLost, PeerError, UnknownImage } from "./errors.js";

/** Seconds without a byte after which a request counts as lost. */
export const IDLE = 60;
const MISSING = [404, 410];
/** Answers that say that another attempt may help, besides those from 500 on. */
const PASSING = [408, 425, 429];

/**
 * An answer, and its body piece by piece.  `close()` ends the download, unless that is over.
 *
 * @typedef {object} Exchange
 * @property {Response} answer
 * @property {AsyncGenerator<Uint8Array, void, void>} body
 * @property {() => void} close
 */

/**
 * Ask for `url`.
 *
 * Rejects with UnknownImage if there is no such file, with another PeerError for other refusals, and
 * with LinkLost for what may pass: no connection, a status that says so (and perhaps after how many
 * seconds), IDLE seconds without a byte, or one of `signals` being aborted; so does the body.
 *
 * @param {URL} url
 * @param {object} options
 * @param {typeof globalThis.fetch} options.fetch
 * @param {import("./clock.js").Clock} options.clock
 * @param {AbortSignal[]} options.signals
 * @param {Record<string, string>} [options.headers]
 * @param {RequestCache} [options.cache]
 * @param {number[]} [options.accepted] statuses that are no failures, besides 200 and 206
 * @returns {Promise<Exchange>}
 */
export async function ask(url, { fetch, clock, signals, headers, cache, accepted = [] }) {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of signals) {
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  }
  const close = () => {
    for (const signal of signals) signal.removeEventListener("abort", stop);
    stop();
  };
  /** @template T @param {Promise<T>} promise @returns {Promise<T>} */
  const within = async (promise) => {
    const callOff = clock.after(IDLE, stop);
    try {
      return await promise;
    } catch (cause) {
      // What fetch() and read() throw says nothing more.
      const message = `${host(url)} cannot be reached, or the link to it broke`;
      throw new LinkLost(message, { cause });
    } finally {
      callOff();
    }
  };
  try {
    const answer = await within(fetch(url.href, { headers, cache, signal: stopping.signal }));
    refuse(url, answer, accepted);
    return { answer, body: pieces(answer, within), close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * @param {Response} answer
 * @param {<T>(promise: Promise<T>) => Promise<T>} within
 * @returns {AsyncGenerator<Uint8Array, void, void>}
 */
async function* pieces(answer, within) {
  const reader = answer.body?.getReader();
  while (reader) {
    const { done, value } = await within(reader.read());
    if (done) return;
    yield value;
  }
}

/**
 * Throw the error for an answer that refuses.
 *
 * @param {URL} url
 * @param {Response} answer
 * @param {number[]} accepted
 */
function refuse(url, { status, headers }, accepted) {
  if (status === 200 || status === 206 || accepted.includes(status)) return;
  const path = readable(url.pathname);
  if (MISSING.includes(status))
    throw plain(new UnknownImage("unknown-image", ""), `there is no ${path} (${status})`);
  const said = `${host(url)} answers ${status}`;
  if (status >= 500 || PASSING.includes(status)) {
    const seconds = Number(headers.get("retry-after") ?? "");
    const after = Number.isFinite(seconds) && seconds > 0 ? seconds : null;
    throw new LinkLost(`${said}: not at the moment`, { after });
  }
  throw plain(new PeerError("refused", ""), `${said} for ${path}`);
}

/**
 * Return an error with a message that is not in the words of the protocol.
 *
 * @param {PeerError} error
 * @param {string} message
 */
export function plain(error, message) {
  error.message = message;
  return error;
}

/** @param {string} path */
function readable(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // not in UTF-8
  }
}

/** Return what people call the server of `url`. @param {URL} url */
export function host(url) {
  return url.host || "the server of the picture";
}
