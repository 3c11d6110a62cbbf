/**
 * What has come over the wire, and how fast it comes.
 *
 * @module
 */

/** Seconds over which a rate is taken, and the least when all has only begun. */
const LONG = 5;
const SHORT = 1;
/** Seconds; what comes closer together is remembered as one. */
const GRAIN = 0.1;

/** Counts the bytes of WebSocket messages with their frames, as they arrive. */
export class Meter {
  /** Bytes so far; the opening of a connection, TCP and below are not counted. */
  received = 0;
  /** @type {number | null} */
  #began = null;
  /** @type {{ time: number, bytes: number }[]} */
  #arrivals = [];

  /**
   * A message has come.
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
   * Return bytes a second over the last seconds.
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
