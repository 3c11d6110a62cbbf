/**
 * The element <diffc-picture>: a picture, or a clip, that sharpens while its bytes arrive.
 *
 *     <script type="module" src="diffc/picture.js"></script>
 *     <diffc-picture src="harbour.dfc" bytes="2000" alt="The harbour at dawn"></diffc-picture>
 *
 * Importing this module defines it.  Where there are no elements, in Node for instance, it defines
 * nothing.
 *
 * @module
 */

import { Playback } from "./clips/playback.js";
import { decoding } from "./engine.js";
import { Arrival } from "./element/arrival.js";
import { Frame, WORDS } from "./element/frame.js";
import { source } from "./element/stream.js";

export { configure } from "./engine.js";

/** @typedef {import("./pictures.js").Shown} Shown */
/** @typedef {import("./clips/pictures.js").Frame} Still */
/** @typedef {Omit<Shown, "pixels"> | Omit<Still, "pixels">} Facts */

/** How far from the viewport a picture begins to load, as a margin of an IntersectionObserver. */
const NEAR = "100% 50%";

const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});
/** @type {IntersectionObserver | null} */
let observer = null;

/**
 * Replace words that people read or hear: `retry`, `failed(reason)`, `progress(bytes, total)`, `done`,
 * `pause` and `play`.
 *
 * @param {Partial<typeof WORDS>} words
 */
export function translate(words) {
  Object.assign(WORDS, words);
}

/**
 * The element.  Its attributes are `src`, `bytes`, `realism`, `alt`, `width`, `height` and
 * `loading`; see the README for what they mean.
 *
 * It dispatches `progress` (a ProgressEvent, `loaded` and `total` in bytes) with every picture that
 * it shows, `load` when all that is wanted is shown, and `error` (an ErrorEvent) if that fails.
 */
export class DiffcPicture extends Base {
  static observedAttributes = ["src", "bytes", "realism", "alt", "width", "height", "loading"];

  /** @type {Frame | null} */
  #frame = null;
  /** @type {Arrival | null} */
  #arrival = null;
  /** @type {Playback | null} */
  #playback = null;
  #near = false;
  #complete = false;
  /** @type {Facts | null} */
  #shown = null;
  #natural = { width: 0, height: 0 };

  /** The address of the stream: a file's, or ws://HOST/NAME of a sender's picture. */
  get src() {
    return this.getAttribute("src") ?? "";
  }

  set src(value) {
    this.setAttribute("src", value);
  }

  get alt() {
    return this.getAttribute("alt") ?? "";
  }

  set alt(value) {
    this.setAttribute("alt", value);
  }

  /** The most bytes to load; null is all of the stream. */
  get bytes() {
    const bytes = Number(this.getAttribute("bytes") ?? "");
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
  }

  set bytes(value) {
    if (value === null) this.removeAttribute("bytes");
    else this.setAttribute("bytes", String(value));
  }

  /** From 0, the smallest error, to 1, the most natural look. */
  get realism() {
    const realism = Number(this.getAttribute("realism") ?? "");
    return Number.isFinite(realism) ? Math.min(1, Math.max(0, realism)) : 0;
  }

  set realism(value) {
    this.setAttribute("realism", String(value));
  }

  /** Whether all that is wanted is shown. */
  get complete() {
    return this.#complete;
  }

  /** The width of the picture in pixels, from the header of its stream; 0 before that is here. */
  get naturalWidth() {
    return this.#natural.width;
  }

  /** The height of the picture in pixels; 0 before it is known. */
  get naturalHeight() {
    return this.#natural.height;
  }

  /** Whether it is a clip that stands still. */
  get paused() {
    return this.#playback?.paused ?? true;
  }

  /** Play a clip that stands still. */
  play() {
    this.#playback?.play();
    this.#tell();
  }

  /** Let a clip stand still. */
  pause() {
    this.#playback?.pause();
    this.#tell();
  }

  /**
   * Facts about the picture that is shown: `bytes`, `bpp`, `predictedPsnr` and others, of a clip
   * `clip.pictures` and `clip.milliseconds`; or null.
   */
  get shown() {
    return this.#shown;
  }

  connectedCallback() {
    if (!this.#frame) {
      this.#frame = new Frame(
        this,
        () => this.#retry(),
        () => (this.paused ? this.play() : this.pause()),
      );
      this.#describe();
    }
    this.#watch();
  }

  disconnectedCallback() {
    observer?.unobserve(this);
    // It may only have been moved.
    queueMicrotask(() => {
      if (!this.isConnected) this.#reset();
    });
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after || !this.#frame) return;
    if (name === "src") {
      this.#reset();
      this.#watch();
    } else if (name === "loading") {
      this.#watch();
    } else if (name === "bytes" || name === "realism") {
      if (!this.#arrival) return;
      this.#begin();
      this.#arrival.want({ bytes: this.bytes, realism: this.realism });
    } else {
      this.#describe();
    }
  }

  /** Load it now, or when it is near the viewport. */
  #watch() {
    if (!this.isConnected || this.#arrival) return;
    if (this.#near || this.getAttribute("loading") === "eager") this.#load();
    else {
      observer ??= new IntersectionObserver(approached, { rootMargin: NEAR });
      observer.observe(this);
    }
  }

  /** For the observer: it is near the viewport. */
  approach() {
    this.#near = true;
    observer?.unobserve(this);
    this.#watch();
  }

  #load() {
    if (!this.src) return;
    this.#begin();
    try {
      const stream = source(this.src, document.baseURI);
      const wanted = { bytes: this.bytes, realism: this.realism };
      this.#arrival = new Arrival(stream, decoding(), wanted, {
        onsize: (width, height) => {
          this.#natural = { width, height };
          this.#describe();
        },
        onshown: (shown) => this.#show(shown),
        onframe: (frame) => this.#take(frame),
        onend: () => this.#end(),
        onerror: (error) => this.#fail(error),
      });
    } catch (error) {
      // Not an address, or a browser that has no workers.
      const failure = error instanceof Error ? error : new Error(String(error));
      queueMicrotask(() => this.#fail(failure));
    }
  }

  #begin() {
    this.#complete = false;
    this.#frame?.begin();
  }

  #reset() {
    this.#arrival?.close();
    this.#playback?.clear();
    this.#arrival = this.#shown = this.#playback = null;
    this.#complete = false;
    this.#near = false;
    this.#natural = { width: 0, height: 0 };
    this.#frame?.clear();
    this.#describe();
  }

  #retry() {
    if (this.#arrival) {
      this.#begin();
      this.#arrival.again();
    } else {
      this.#load();
    }
  }

  #describe() {
    const { width, height } = this.#natural;
    const [wide, high] = [pixels(this, "width"), pixels(this, "height")];
    this.#frame?.describe(this.getAttribute("alt"));
    this.#frame?.size(
      wide || (high && width ? (high * width) / height : width),
      high || (wide && width ? (wide * height) / width : height),
    );
  }

  /** @param {Shown} shown */
  #show(shown) {
    const { pixels, ...facts } = shown;
    this.#shown = facts;
    this.#frame?.show(shown);
    this.#progress(facts);
  }

  /** Play a clip of which pictures are better known. @param {Still} frame */
  #take(frame) {
    this.#playback ??= new Playback((still) => this.#frame?.show(still));
    this.#playback.take(frame);
    this.#tell();
    const { pixels, ...facts } = frame;
    const more = facts.bytes !== this.#shown?.bytes;
    this.#shown = facts;
    if (more) this.#progress(facts);
  }

  #tell() {
    if (this.#playback) this.#frame?.play(!this.#playback.paused);
  }

  /** @param {Facts} facts */
  #progress(facts) {
    const total = this.bytes;
    this.#frame?.progress(facts.bytes, total);
    this.dispatchEvent(
      new ProgressEvent("progress", {
        loaded: facts.bytes,
        total: total ?? 0,
        lengthComputable: total !== null,
      }),
    );
  }

  #end() {
    this.#complete = true;
    this.#frame?.end();
    this.dispatchEvent(new Event("load"));
  }

  /** @param {Error} error */
  #fail(error) {
    this.#frame?.fail(error.message);
    this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
  }
}

/** @param {IntersectionObserverEntry[]} entries */
function approached(entries) {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting && target instanceof DiffcPicture) target.approach();
  }
}

/** @param {HTMLElement} element @param {string} name */
function pixels(element, name) {
  const value = Number(element.getAttribute(name) ?? "");
  return Number.isFinite(value) && value > 0 ? value : 0;
}

if (globalThis.customElements && !customElements.get("diffc-picture")) {
  customElements.define("diffc-picture", DiffcPicture);
}
