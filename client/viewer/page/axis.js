/**
 * The byte axis: a chart of quality over bytes, which is also a slider.
 *
 * The scale is logarithmic, because quality grows by about the same with every doubling.
 *
 * @module
 */

import { bytes, decibels, size } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 44, right: 16, top: 14, bottom: 22 };
/** How many steps of the stream a page key skips. */
const PAGE = 10;
/** In how many steps of equal width a key crosses the axis of a clip. */
const STOPS = 40;
/** Width of a mark's text in pixels: marks that are closer are left out. */
const ROOM = 46;

/** @typedef {import("./reception.js").Reception} Reception */

/** The chart; as a slider it selects the prefix that is shown. */
export class Axis {
  #element;
  #onscrub;
  #svg;
  /** @type {Reception | null} */ #reception = null;
  #end = 0;
  /** @type {number | null} */ #at = null;
  #dragging = false;

  /**
   * @param {HTMLElement} element
   * @param {(bytes: number | null) => void} onscrub Called with the prefix; null for the newest.
   */
  constructor(element, onscrub) {
    this.#element = element;
    this.#onscrub = onscrub;
    this.#svg = made("svg", { "aria-hidden": "true" });
    element.append(this.#svg);
    element.tabIndex = 0;
    element.setAttribute("role", "slider");
    element.setAttribute("aria-label", "Bytes that the picture is made from");
    element.addEventListener("keydown", (event) => this.#press(event));
    element.addEventListener("pointerdown", (event) => this.#grab(event));
    element.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => (this.#dragging = false));
    }
    new ResizeObserver(() => this.#draw()).observe(element);
  }

  /**
   * Show the part of a picture that has arrived.
   *
   * @param {Reception} reception
   * @param {number} end Bytes up to which it is wanted.
   * @param {number | null} at The prefix that is shown; null for the newest.
   */
  show(reception, end, at) {
    this.#reception = reception;
    this.#end = end;
    this.#at = at;
    this.#describe();
    this.#draw();
  }

  get #first() {
    const { curve } = this.#reception ?? {};
    return curve?.first ?? (curve?.clip ? curve.offsets[0] : 1);
  }

  get #position() {
    return this.#at ?? this.#reception?.length ?? 0;
  }

  #describe() {
    const { length = 0 } = this.#reception ?? {};
    const at = this.#position;
    const first = Math.min(this.#first, length);
    const psnr = this.#reception?.psnr(at) ?? 0;
    const text = psnr ? `${bytes(at)}, about ${decibels(psnr)}` : "nothing yet";
    for (const [name, value] of [
      ["aria-valuemin", first],
      ["aria-valuemax", length],
      ["aria-valuenow", at],
      ["aria-valuetext", this.#at === null ? `${text}, live` : text],
      ["aria-disabled", psnr === 0],
    ]) {
      this.#element.setAttribute(String(name), String(value));
    }
    this.#element.dataset.bytes = String(at);
  }

  /** Where a key stops: at the ends of steps, or, since those of a clip are many, evenly. */
  get #stops() {
    const { curve, length } = /** @type {Reception} */ (this.#reception);
    if (!curve.clip) return curve.offsets.slice(1);
    const first = this.#first;
    const stop = (/** @type {number} */ place) => first * (length / first) ** (place / STOPS);
    return Array.from({ length: STOPS }, (_, place) => Math.round(stop(place + 1)));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (!this.#reception || event.altKey || event.ctrlKey || event.metaKey) return;
    const offsets = this.#stops;
    const at = this.#position;
    /** @param {number} steps */
    const forward = (steps) => offsets.filter((offset) => offset > at)[steps - 1] ?? null;
    /** @param {number} steps */
    const back = (steps) => offsets.filter((offset) => offset < at).at(-steps) ?? this.#first;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowDown":
        this.#onscrub(back(1));
        break;
      case "ArrowRight":
      case "ArrowUp":
        this.#onscrub(forward(1));
        break;
      case "PageDown":
        this.#onscrub(back(PAGE));
        break;
      case "PageUp":
        this.#onscrub(forward(PAGE));
        break;
      case "Home":
        this.#onscrub(this.#first);
        break;
      case "End":
        this.#onscrub(null);
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0 || !this.#reception?.length) return;
    this.#dragging = true;
    this.#element.setPointerCapture(event.pointerId);
    this.#drag(event);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.#dragging || !this.#reception) return;
    const x = event.clientX - this.#element.getBoundingClientRect().left;
    const { left, right } = MARGIN;
    const [low, high] = this.#domain();
    const share = (x - left) / (this.#element.clientWidth - left - right);
    const wanted = Math.round(low * (high / low) ** Math.min(1, Math.max(0, share)));
    const { length } = this.#reception;
    this.#onscrub(wanted >= length ? null : Math.max(this.#first, wanted));
  }

  /** The bytes at either end of the axis. @returns {[number, number]} */
  #domain() {
    const high = Math.max(this.#end, this.#reception?.length ?? 0, 2 * this.#first, 200);
    return [Math.max(16, this.#first * 0.9), high * 1.02];
  }

  #draw() {
    const [width, height] = [this.#element.clientWidth, this.#element.clientHeight];
    if (!this.#reception || !width || !height) return;
    const { length, quality } = this.#reception;
    const offsets = quality.offsets.slice(1);
    const psnr = quality.psnr.slice(1);
    const [low, high] = this.#domain();
    const floor = Math.floor((psnr[0] ?? 14) / 2) * 2 - 1;
    const ceiling = Math.max(floor + 12, (psnr[psnr.length - 1] ?? 0) + 3);
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    /** @param {number} b */
    const x = (b) =>
      MARGIN.left + ((right - MARGIN.left) * Math.log(b / low)) / Math.log(high / low);
    /** @param {number} db */
    const y = (db) => bottom - ((bottom - MARGIN.top) * (db - floor)) / (ceiling - floor);

    const parts = [];
    for (const mark of marks(low, high).filter(spaced(x, right))) {
      parts.push(
        made("line", {
          class: "grid",
          x1: x(mark),
          x2: x(mark),
          y1: bottom,
          y2: bottom + 4,
        }),
      );
      parts.push(
        label(size(mark), {
          x: x(mark),
          y: height - 4,
          "text-anchor": "middle",
        }),
      );
    }
    for (let db = Math.ceil(floor / 5) * 5; db < ceiling - 1; db += 5) {
      parts.push(
        made("line", {
          class: "grid",
          x1: MARGIN.left,
          x2: right,
          y1: y(db),
          y2: y(db),
        }),
      );
      parts.push(
        label(`${db} dB`, {
          x: MARGIN.left - 8,
          y: y(db) + 4,
          "text-anchor": "end",
        }),
      );
    }
    parts.push(
      made("line", {
        class: "base",
        x1: MARGIN.left,
        x2: right,
        y1: bottom,
        y2: bottom,
      }),
    );
    if (offsets.length) {
      const at = Math.min(Math.max(this.#position, offsets[0]), length);
      const here = [at, this.#reception.psnr(at)];
      const points = offsets.map((offset, place) => [offset, psnr[place]]);
      points.push([Math.max(length, offsets[0]), this.#reception.psnr(length)]);
      for (const [name, part] of /** @type {[string, number[][]][]} */ ([
        ["after", [here, ...points.filter(([offset]) => offset > at)]],
        ["", [...points.filter(([offset]) => offset < at), here]],
      ])) {
        const line = part.map(([offset, db]) => `${x(offset)},${y(db)}`).join(" ");
        const ends = `${x(part[part.length - 1][0])},${bottom} ${x(part[0][0])},${bottom}`;
        parts.push(made("polygon", { class: `area ${name}`, points: `${line} ${ends}` }));
        parts.push(made("polyline", { class: `line ${name}`, points: line }));
      }
      parts.push(
        made("line", {
          class: "hand",
          x1: x(at),
          x2: x(at),
          y1: y(here[1]),
          y2: bottom,
        }),
        made("circle", { class: "halo", cx: x(at), cy: y(here[1]), r: 10 }),
        made("circle", { class: "knob", cx: x(at), cy: y(here[1]), r: 6 }),
      );
    }
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
  }
}

/**
 * Return round numbers of bytes between two ends: 1, 2 and 5 times powers of ten.
 *
 * @param {number} low
 * @param {number} high
 */
function marks(low, high) {
  const found = [];
  for (let power = 10; power <= high; power *= 10) {
    for (const times of [1, 2, 5]) {
      if (times * power >= low && times * power <= high) found.push(times * power);
    }
  }
  return found;
}

/**
 * Leave out marks that would touch the last one.
 *
 * @param {(bytes: number) => number} x
 * @param {number} right
 */
function spaced(x, right) {
  let last = -Infinity;
  /** @param {number} mark */
  return (mark) => {
    if (x(mark) - last < ROOM || x(mark) > right) return false;
    last = x(mark);
    return true;
  };
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function made(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** @param {string} text @param {Record<string, string | number>} attributes */
function label(text, attributes) {
  const element = made("text", attributes);
  element.textContent = text;
  return element;
}
