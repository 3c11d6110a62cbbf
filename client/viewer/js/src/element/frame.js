/**
 * What a picture element shows: its picture, its status, and what went wrong.
 *
 * It has its own style sheet, which the page's style overrides, and no inline styles, which content
 * security policies forbid.
 *
 * @module
 */

/** @typedef {import("../pictures.js").Shown} Shown */

/** What is said of the progress at most every so many milliseconds, and not before. */
const EVERY = 5000;

const STYLE = `
  :host { display: inline-block; position: relative; max-width: 100%; vertical-align: bottom; }
  :host([hidden]) { display: none; }
  canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: inherit; }
  .said { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden;
          clip-path: inset(50%); white-space: nowrap; }
  .motion { position: absolute; inset-inline-end: 0.5em; inset-block-end: 0.5em; }
  .motion[hidden] { display: none; }
  .failed { position: absolute; inset-inline: 0; inset-block-end: 0; margin: 0; padding: 0.5em;
            font: 0.875rem/1.4 system-ui, sans-serif; color: #1b1b1b; background: #f4f4f4; }
  .failed[hidden] { display: none; }
  button { font: inherit; margin-inline-start: 0.5em; }
`;

/** Words for people, which a page in another language replaces. */
export const WORDS = {
  retry: "Try again",
  /** @param {string} reason */
  failed: (reason) => `The picture could not be loaded: ${reason}`,
  /** @param {number} bytes @param {number | null} total */
  progress: (bytes, total) =>
    total === null ? `${bytes} bytes have arrived` : `${bytes} of ${total} bytes have arrived`,
  done: "The picture is complete",
  pause: "Pause",
  play: "Play",
};

/** The inside of an element. */
export class Frame {
  #canvas = document.createElement("canvas");
  #said = document.createElement("span");
  #motion = document.createElement("button");
  #failed = document.createElement("p");
  #reason = document.createElement("span");
  #button = document.createElement("button");
  #size = new CSSStyleSheet();
  /** When it began, and when something was last said, in milliseconds. */
  #began = 0;
  #told = 0;

  /**
   * @param {HTMLElement} host
   * @param {() => void} onretry
   * @param {() => void} onmotion to pause a clip, or to play it on
   */
  constructor(host, onretry, onmotion) {
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet, this.#size];
    this.#said.className = "said";
    this.#said.setAttribute("role", "status");
    this.#failed.className = "failed";
    this.#failed.hidden = true;
    this.#button.type = "button";
    this.#button.addEventListener("click", onretry);
    this.#failed.append(this.#reason, this.#button);
    this.#motion.className = "motion";
    this.#motion.type = "button";
    this.#motion.hidden = true;
    this.#motion.addEventListener("click", onmotion);
    root.append(this.#canvas, this.#said, this.#motion, this.#failed);
  }

  /**
   * Tell assistive technology what the picture is of; an empty text is decoration, which it skips,
   * and null is a picture that is not described.
   *
   * @param {string | null} alt
   */
  describe(alt) {
    const canvas = this.#canvas;
    canvas.setAttribute("role", alt === "" ? "presentation" : "img");
    if (alt) canvas.setAttribute("aria-label", alt);
    else canvas.removeAttribute("aria-label");
  }

  /**
   * Take the room of a picture of so many pixels, unless the page's style says otherwise; 0 is not
   * known.
   *
   * @param {number} width
   * @param {number} height
   */
  size(width, height) {
    const rules = [
      width ? `inline-size: ${width}px;` : "",
      width && height ? `aspect-ratio: ${width} / ${height};` : "",
      height && !width ? `block-size: ${height}px;` : "",
    ];
    const unknown = width && height ? "" : ".failed { position: static; }";
    this.#size.replaceSync(`:host { ${rules.join(" ")} } ${unknown}`);
  }

  /** Show the button of a clip, which is playing or stands still. @param {boolean} playing */
  play(playing) {
    this.#motion.hidden = false;
    this.#motion.textContent = playing ? WORDS.pause : WORDS.play;
  }

  /** @param {Pick<Shown, "pixels" | "width" | "height">} shown */
  show({ pixels, width, height }) {
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    canvas.getContext("2d")?.putImageData(new ImageData(pixels, width, height), 0, 0);
  }

  /** Show nothing, as of a picture that is about to arrive. */
  clear() {
    this.#canvas.width = this.#canvas.height = 1;
    this.#failed.hidden = true;
    this.#motion.hidden = true;
    this.#said.textContent = "";
  }

  /** Say that more is to come. */
  begin() {
    this.#failed.hidden = true;
    this.#canvas.setAttribute("aria-busy", "true");
    this.#began = this.#told = performance.now();
  }

  /**
   * Say how much has arrived, to those who do not see it: pictures that take a moment say nothing,
   * and others a little, since a page may have many.
   *
   * @param {number} bytes
   * @param {number | null} total
   */
  progress(bytes, total) {
    const now = performance.now();
    if (now - this.#told < EVERY) return;
    this.#told = now;
    this.#said.textContent = WORDS.progress(bytes, total);
  }

  end() {
    this.#canvas.setAttribute("aria-busy", "false");
    if (this.#told > this.#began) this.#said.textContent = WORDS.done;
  }

  /** @param {string} reason */
  fail(reason) {
    this.#canvas.setAttribute("aria-busy", "false");
    this.#said.textContent = WORDS.failed(reason);
    const alt = this.#canvas.getAttribute("aria-label");
    this.#reason.textContent = [alt, WORDS.failed(reason)].filter(Boolean).join(". ");
    this.#button.textContent = WORDS.retry;
    this.#failed.hidden = false;
  }
}
