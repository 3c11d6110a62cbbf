/**
 * A rectangle over the picture, which the viewer drags with a mouse or a finger, or moves by keys.
 *
 * @module
 */

/** By how many pixels of the picture a key moves a side: regions are sent in cells of so many. */
const STEP = 32;
/** A drag of fewer pixels of the screen is a click. */
const LEAST = 6;

/** @typedef {{ left: number, top: number, width: number, height: number }} Rectangle in pixels */
/**
 * @typedef {object} Parts
 * @property {HTMLElement} frame
 * @property {HTMLCanvasElement} canvas
 * @property {HTMLElement} selection
 * @property {HTMLButtonElement} region
 * @property {HTMLElement} regions what the button is in
 */

/** The rectangle.  A mouse can drag one at any time, a finger once the button is pressed. */
export class Selection {
  #parts;
  #onselect;
  #ondrop;
  #size = { width: 0, height: 0 };
  /** @type {Rectangle | null} */ #box = null;
  /** Where a drag has begun, in pixels of the picture. @type {[number, number] | null} */
  #from = null;

  /**
   * @param {Parts} parts
   * @param {(rectangle: Rectangle) => void} onselect called with what is to sharpen first
   * @param {() => void} ondrop called when nothing is any more
   */
  constructor(parts, onselect, ondrop) {
    this.#parts = parts;
    this.#onselect = onselect;
    this.#ondrop = ondrop;
    const { frame, canvas, selection, region } = parts;
    region.addEventListener("click", () => (this.#active ? this.#drop() : this.#begin()));
    selection.addEventListener("keydown", (event) => this.#press(event));
    frame.addEventListener("pointerdown", (event) => this.#grab(event));
    frame.addEventListener("pointermove", (event) => this.#drag(event));
    frame.addEventListener("pointerup", (event) => this.#release(event));
    frame.addEventListener("pointercancel", () => this.clear());
    // Before the page, which leaves the picture then.
    document.addEventListener("keydown", (event) => this.#escape(event), true);
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  /** Set whether there are regions to be had. @param {boolean} offered */
  set offered(offered) {
    if (this.#parts.regions.hidden === !offered) return;
    this.#parts.regions.hidden = !offered;
    if (!offered) this.clear();
  }

  /** Set the size of the picture that is shown. @param {{ width: number, height: number }} size */
  set size({ width, height }) {
    this.#size = { width, height };
    this.#parts.region.disabled = width === 0;
  }

  /** Show no rectangle. */
  clear() {
    this.#from = this.#box = null;
    this.#draw();
  }

  get #active() {
    return this.#box !== null;
  }

  get #usable() {
    return this.#size.width > 0 && !this.#parts.regions.hidden;
  }

  /** Show a rectangle in the middle, for the keyboard and for fingers. */
  #begin() {
    if (!this.#usable) return;
    const [width, height] = [this.#size.width, this.#size.height].map((side) => {
      return Math.min(side, Math.max(STEP, STEP * Math.round(side / 3 / STEP)));
    });
    const left = STEP * Math.floor((this.#size.width - width) / 2 / STEP);
    const top = STEP * Math.floor((this.#size.height - height) / 2 / STEP);
    this.#box = { left, top, width, height };
    this.#tell("choosing");
    this.#parts.selection.focus();
  }

  #ask() {
    if (!this.#box) return;
    this.#tell("asked");
    this.#onselect(this.#box);
  }

  #drop() {
    const focused = document.activeElement === this.#parts.selection;
    this.clear();
    if (focused) this.#parts.region.focus();
    this.#ondrop();
  }

  /** @param {KeyboardEvent} event */
  #escape(event) {
    if (event.key !== "Escape" || !this.#active || this.#parts.regions.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    this.#drop();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (!this.#box || event.altKey || event.ctrlKey || event.metaKey) return;
    const steps = {
      ArrowLeft: [-STEP, 0],
      ArrowRight: [STEP, 0],
      ArrowUp: [0, -STEP],
      ArrowDown: [0, STEP],
    };
    if (event.key === "Enter") this.#ask();
    else if (event.key in steps) {
      const [across, down] = steps[/** @type {keyof typeof steps} */ (event.key)];
      const { left, top, width, height } = this.#box;
      const { width: most, height: highest } = this.#size;
      this.#box = event.shiftKey
        ? {
            ...this.#box,
            width: within(width + across, Math.min(STEP, most - left), most - left),
            height: within(height + down, Math.min(STEP, highest - top), highest - top),
          }
        : {
            ...this.#box,
            left: within(left + across, 0, most - width),
            top: within(top + down, 0, highest - height),
          };
      this.#tell("choosing");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    const mouse = event.pointerType === "mouse";
    if (event.button !== 0 || !event.isPrimary || !this.#usable) return;
    if (!mouse && !this.#active) return; // it scrolls the page
    this.#from = this.#place(event);
    this.#parts.frame.setPointerCapture(event.pointerId);
    // A drag would select text, or drag the picture.
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.#from || !this.#far(event)) return;
    const [[x, y], [fromX, fromY]] = [this.#place(event), this.#from];
    const [left, top] = [Math.floor(Math.min(x, fromX)), Math.floor(Math.min(y, fromY))];
    this.#box = {
      left: Math.min(left, this.#size.width - 1),
      top: Math.min(top, this.#size.height - 1),
      width: Math.max(1, Math.ceil(Math.max(x, fromX)) - left),
      height: Math.max(1, Math.ceil(Math.max(y, fromY)) - top),
    };
    this.#tell("choosing");
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (!this.#from) return;
    const far = this.#far(event);
    this.#from = null;
    if (far) this.#ask();
  }

  /** Tell whether a drag has left the place where it began. @param {PointerEvent} event */
  #far(event) {
    if (!this.#from) return false;
    const { width } = this.#parts.canvas.getBoundingClientRect();
    const scale = width / this.#size.width;
    const [[x, y], [fromX, fromY]] = [this.#place(event), this.#from];
    return scale * Math.max(Math.abs(x - fromX), Math.abs(y - fromY)) >= LEAST;
  }

  /** Return the place in the picture below a pointer. @param {PointerEvent} event */
  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.#parts.canvas.getBoundingClientRect();
    return /** @type {[number, number]} */ ([
      within(((clientX - left) / width) * this.#size.width, 0, this.#size.width),
      within(((clientY - top) / height) * this.#size.height, 0, this.#size.height),
    ]);
  }

  /** Show the rectangle as it is now. @param {"choosing" | "asked"} state */
  #tell(state) {
    this.#parts.selection.dataset.state = state;
    this.#draw();
  }

  #draw() {
    const { frame, canvas, selection, region } = this.#parts;
    const box = this.#box;
    selection.hidden = !box;
    region.setAttribute("aria-pressed", String(box !== null));
    frame.toggleAttribute("data-selecting", box !== null);
    if (!box) return;
    const [inner, outer] = [canvas.getBoundingClientRect(), frame.getBoundingClientRect()];
    const [across, down] = [inner.width / this.#size.width, inner.height / this.#size.height];
    selection.style.left = `${inner.left - outer.left + box.left * across}px`;
    selection.style.top = `${inner.top - outer.top + box.top * down}px`;
    selection.style.width = `${box.width * across}px`;
    selection.style.height = `${box.height * down}px`;
    const { left, top, width, height } = box;
    const where = `${width} by ${height} pixels at ${left}, ${top}`;
    const how = "Arrow keys move it, with Shift they resize it, Enter asks, Escape drops it.";
    selection.setAttribute("aria-label", `What sharpens first: ${where}. ${how}`);
    selection.dataset.rectangle = [left, top, width, height].join();
  }
}

/** @param {number} value @param {number} low @param {number} high */
function within(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
