/**
 * Paints the last requested picture on a canvas.
 *
 * @module
 */

/**
 * @typedef {object} Wish
 * @property {number} [bytes] The prefix; by default all that has arrived.
 * @property {number} [method] The realism dial, 0 to 1.
 * @property {boolean} [observation] The observation itself.
 * @property {number} [maxSide]
 */
/** @typedef {ReturnType<import("diffc-client").Decoding["picture"]>} Picture */
/** @typedef {Awaited<ReturnType<Picture["render"]>>} Shown */
/** What is painted: a picture, and how many bytes of it are here. */
/** @typedef {Pick<import("./reception.js").Reception, "picture" | "length">} Reception */

/**
 * One canvas.  While a picture is being computed, only the newest request waits, so that the canvas
 * is as up to date as this machine allows.
 */
export class Painter {
  #canvas;
  #onshown;
  #onerror;
  #compose;
  /** The last picture, as it was rendered. @type {{ shown: Shown, reception: Reception } | null} */
  #last = null;
  /** @type {{ reception: Reception, wish: Wish } | null} */ #next = null;
  #working = false;
  #bytes = 0;
  #began = 0;
  #fraction = 0;
  /** A picture that is being computed when this changes is not shown. */
  #generation = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(shown: Shown, reception: Reception) => void} onshown
   * @param {(error: Error) => void} onerror
   * @param {(shown: Shown) => Shown} [compose] returns what to paint of what was rendered
   */
  constructor(canvas, onshown, onerror, compose = (shown) => shown) {
    this.#canvas = canvas;
    this.#onshown = onshown;
    this.#onerror = onerror;
    this.#compose = compose;
  }

  /**
   * The picture that is being computed: its bytes, the seconds so far, and the share that is done,
   * from 0 to 1; null if there is none.
   *
   * @returns {{ bytes: number, seconds: number, fraction: number } | null}
   */
  get computing() {
    if (!this.#working) return null;
    const seconds = (performance.now() - this.#began) / 1000;
    return { bytes: this.#bytes, seconds, fraction: this.#fraction };
  }

  /** @param {Reception} reception @param {Wish} wish */
  paint(reception, wish) {
    this.#next = { reception, wish };
    if (!this.#working) this.#work();
  }

  /** Drop the waiting request, and do not show the picture that is being computed. */
  forget() {
    this.#next = null;
    this.#generation += 1;
  }

  /** Compose and show the last picture anew. */
  renew() {
    if (this.#last) this.#show(this.#last.shown, this.#last.reception);
  }

  /** Show a picture that is here already. @param {HTMLImageElement} image */
  draw(image) {
    this.forget();
    this.#canvas.width = image.naturalWidth;
    this.#canvas.height = image.naturalHeight;
    this.#canvas.getContext("2d")?.drawImage(image, 0, 0);
  }

  /** Show nothing. */
  clear() {
    this.forget();
    this.#last = null;
    this.#canvas.width = 3;
    this.#canvas.height = 2;
  }

  async #work() {
    this.#working = true;
    while (this.#next) {
      const { reception, wish } = this.#next;
      const generation = this.#generation;
      this.#next = null;
      this.#bytes = wish.bytes ?? reception.length;
      this.#began = performance.now();
      this.#fraction = 0;
      const onprogress = (/** @type {number} */ fraction) => (this.#fraction = fraction);
      try {
        const shown = await reception.picture.render({ ...wish, onprogress });
        if (generation === this.#generation) this.#show(shown, reception);
      } catch (error) {
        const superseded = error instanceof Error && error.name === "Superseded";
        if (generation === this.#generation && !superseded) {
          this.#onerror(error instanceof Error ? error : new Error(String(error)));
        }
      }
    }
    this.#working = false;
  }

  /** @param {Shown} rendered @param {Reception} reception */
  #show(rendered, reception) {
    this.#last = { shown: rendered, reception };
    const shown = this.#compose(rendered);
    const { width, height, pixels } = shown;
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext("2d");
    context?.putImageData(new ImageData(pixels, width, height), 0, 0);
    this.#onshown(shown, reception);
  }
}
