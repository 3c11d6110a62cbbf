/**
 * Pictures that were used last, so that they need not be made again.
 *
 * @module
 */

/**
 * At most `most` pictures, of at most `mostBytes` together, by key.
 *
 * @template {{ pixels: { byteLength: number } }} P
 */
export class Remembered {
  #most;
  #mostBytes;
  /** @type {Map<string, P>} */
  #pictures = new Map();

  /** @param {number} most @param {number} mostBytes */
  constructor(most, mostBytes) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  /** @param {string} key */
  get(key) {
    const picture = this.#pictures.get(key);
    if (picture) {
      this.#pictures.delete(key);
      this.#pictures.set(key, picture);
    }
    return picture;
  }

  /**
   * Take a picture, and drop those not used for longest if they are too many.
   *
   * @param {string} key
   * @param {P} picture
   */
  set(key, picture) {
    this.#pictures.set(key, picture);
    for (const oldest of this.#pictures.keys()) {
      if (this.#pictures.size <= this.#most && this.#bytes <= this.#mostBytes) break;
      this.#pictures.delete(oldest);
    }
  }

  clear() {
    this.#pictures.clear();
  }

  get #bytes() {
    let sum = 0;
    for (const { pixels } of this.#pictures.values()) sum += pixels.byteLength;
    return sum;
  }
}
