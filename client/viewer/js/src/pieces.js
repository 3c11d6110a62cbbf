/**
 * The bytes of a stream on their way from where they are received to a loop over them.
 *
 * @module
 */

/**
 * Pieces that have arrived, in order, each for one loop; and how the stream ended.
 *
 * @template Ended
 */
export class Pieces {
  /** Settles at the end; rejects with the error that the loop throws, too. @type {Promise<Ended>} */
  ended;
  /** Whether the stream has ended; pieces may be left. */
  over = false;
  /** @type {(ended: Ended) => void} */
  #resolve = () => {};
  /** @type {(error: Error) => void} */
  #reject = () => {};
  /** @type {Uint8Array[]} */
  #waiting = [];
  /** @type {(() => void) | null} */
  #wake = null;
  /** @type {Error | null} */
  #error = null;
  #unwanted = false;
  #left;

  /** @param {() => void} left called when the loop is left */
  constructor(left) {
    this.#left = left;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Marks it as handled: the loop throws it too.
    this.ended.catch(() => {});
  }

  async *[Symbol.asyncIterator]() {
    try {
      while (true) {
        const piece = this.#waiting.shift();
        if (piece) yield piece;
        else if (!this.over) await new Promise((resolve) => (this.#wake = () => resolve(null)));
        else if (this.#error) throw this.#error;
        else return;
      }
    } finally {
      this.#unwanted = true;
      this.#waiting = [];
      this.#left();
    }
  }

  /** @param {Uint8Array} piece of its own memory, so that it can be transferred to a worker */
  push(piece) {
    if (this.#unwanted) return;
    this.#waiting.push(piece);
    this.#wake?.();
  }

  /** @param {Ended} ended */
  end(ended) {
    this.over = true;
    this.#resolve(ended);
    this.#wake?.();
  }

  /** @param {Error} error */
  fail(error) {
    this.over = true;
    this.#error = error;
    this.#reject(error);
    this.#wake?.();
  }
}
