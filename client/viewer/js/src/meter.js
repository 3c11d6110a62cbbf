/**
 * Counts received bytes, and measures their rate.
 *
 * @module
 */

/** Seconds over which the rate is averaged, and the least number of them at the beginning. */
const LONG = 5;
const SHORT = 1;
/** Seconds; arrivals that are closer together are counted as one. */
const GRAIN = 0.1;

/** Counts the bytes of WebSocket messages with their frames, as they arrive. */
export class Meter {
  /** Bytes so far, without the handshake of the connection and the layers below WebSocket. */
  received = 0;
  /** @type {number | null} */
  #began = null;
  /** @type {{ time: number, bytes: number }[]} */
  #arrivals = [];

  /**
   * Count a message that has arrived.
   *
   * @param {number} bytes without its frame
   * @param {number} now seconds
   */
  arrived(bytes, now) {
    const framed = bytes + (bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10);
    this.received += framed;
    this.#began ??= now;
    const last = this.#arrivals.at(-1);
    if (last && now - last.time < GRAIN) last.bytes += framed;
    else this.#arrivals.push({ time: now, bytes: framed });
    this.#forget(now);
  }

  /**
   * Return the rate of the last seconds, in bytes a second.
   *
   * @param {number} now
   */
  rate(now) {
    this.#forget(now);
    const bytes = this.#arrivals.reduce((sum, arrival) => sum + arrival.bytes, 0);
    return bytes / Math.min(LONG, Math.max(SHORT, now - (this.#began ?? now)));
  }

  /** @param {number} now */
  #forget(now) {
    while (this.#arrivals.length && this.#arrivals[0].time <= now - LONG) this.#arrivals.shift();
  }
}
