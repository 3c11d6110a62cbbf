/**
 * One picture, large, while it arrives: what is seen of it, and how.
 *
 * @module
 */

import { fragment } from "./address.js";
import { Axis } from "./axis.js";
import { Comparison } from "./comparison.js";
import { Facts } from "./facts.js";
import { Painter } from "./painter.js";
import { save } from "./saving.js";
import { Saying } from "./saying.js";
import { bytes, decibels, duration, rate, speed, together } from "./words.js";

/** Bits per pixel: how far a picture goes at first; "More" doubles it. */
const TARGET = 0.2;
/** What a picture takes uncompressed: nobody wants more. */
const MOST = 24;
/** This picture is computed before all others. */
const URGENT = 1;
/** Milliseconds that a slider has to rest before detail is synthesised, which takes long. */
const REST = 300;

/** @typedef {import("./reception.js").Reception} Reception */
/** @typedef {import("./painter.js").Shown} Shown */
/** @typedef {{ previous: string | null, next: string | null }} Neighbours */

/** The large picture, and all that can be done with it. */
export class Stage {
  #element;
  #parts;
  #axis;
  #comparison;
  #facts;
  #saying;
  #painter;
  #notices;
  /** @type {Reception | null} */ #reception = null;
  /** The one before. @type {Reception | null} */ #before = null;
  #target = TARGET;
  /** The prefix that is looked at; null: the newest. @type {number | null} */ #at = null;
  /** @type {Shown | null} */ #shown = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #follow = () => this.#changed();
  /** Bytes per second that the link carries; 0 if that is not known. */
  #pace = 0;

  /**
   * @param {HTMLElement} element
   * @param {import("./notices.js").Notices} notices
   */
  constructor(element, notices) {
    this.#element = element;
    this.#notices = notices;
    this.#parts = partsOf(element);
    const { axis, comparison, facts, canvas, said } = this.#parts;
    this.#axis = new Axis(axis, (at) => this.#scrub(at));
    this.#comparison = new Comparison(comparison);
    this.#facts = new Facts(facts);
    this.#saying = new Saying(said);
    this.#painter = new Painter(
      canvas,
      (shown) => this.#show(shown),
      (error) => this.#fail(error),
    );
    this.#listen();
    new ResizeObserver(() => this.#fit()).observe(this.#parts.frame);
  }

  /**
   * Show a picture, and receive it.
   *
   * @param {Reception} reception
   * @param {Neighbours} neighbours
   */
  open(reception, neighbours) {
    this.close();
    // Whoever comes back to all pictures sees it there, so that it is let go of only now.
    if (this.#before !== reception) this.#before?.rest();
    this.#reception = reception;
    this.#element.hidden = false;
    this.#target = TARGET;
    this.#facts.begin(performance.now());
    this.surround(neighbours);
    this.#parts.waiting.hidden = false;
    reception.addEventListener("change", this.#follow);
    reception.picture.priority = URGENT;
    reception.want({ bpp: this.#target });
    this.#changed();
  }

  /** Show nothing, and receive nothing. */
  close() {
    clearTimeout(this.#timer);
    this.#notices.clear("picture");
    this.#painter.clear();
    for (const key of Object.keys(this.#parts.canvas.dataset)) {
      delete this.#parts.canvas.dataset[key];
    }
    this.#parts.caption.textContent = "";
    this.#comparison.clear();
    this.#element.hidden = true;
    this.#shown = null;
    this.#place(null);
    if (!this.#reception) return;
    this.#reception.removeEventListener("change", this.#follow);
    this.#reception.stop();
    this.#reception.picture.priority = 0;
    this.#before = this.#reception;
    this.#reception = null;
  }

  /** Say which pictures come before and after. @param {Neighbours} neighbours */
  surround({ previous, next }) {
    link(this.#parts.previous, previous);
    link(this.#parts.next, next);
  }

  /** Whether there are JPEG and AVIF to compare with. @param {boolean} offered */
  set comparable(offered) {
    this.#parts.compareSwitch.hidden = !offered;
  }

  /** Say what is known of link and decoder. */
  refresh(/** @type {import("./facts.js").Machine} */ machine) {
    if (!this.#reception) return;
    this.#facts.machine(machine);
    // When nothing comes, that says nothing of the link.
    const pace = this.#reception.state === "receiving" && machine.speed >= 1 ? machine.speed : 0;
    this.#pace = machine.capacity ?? (pace || this.#pace);
    this.#price();
  }

  #listen() {
    const { live, enough, more, realism, observation, compare, save: saving } = this.#parts;
    live.addEventListener("click", () => {
      if (this.#at !== null) this.#scrub(null);
      else if (this.#shown) this.#scrub(this.#length);
    });
    enough.addEventListener("click", () => this.#reception?.stop());
    more.addEventListener("click", () => this.#more());
    realism.addEventListener("input", () => this.#paint());
    observation.addEventListener("change", () => this.#paint());
    compare.addEventListener("change", () => {
      this.#comparison.shown = compare.checked;
      this.#element.toggleAttribute("data-compare", compare.checked);
      this.#compare();
    });
    saving.addEventListener("click", () => {
      if (this.#shown && this.#reception) {
        save(this.#parts.canvas, this.#reception.name, this.#shown);
      }
    });
  }

  get #length() {
    return this.#reception?.length ?? 0;
  }

  get #dial() {
    return Number(this.#parts.realism.value);
  }

  /** Bytes up to which it is wanted; what has arrived, before the picture's size is known. */
  get #end() {
    return Math.max(this.#length, this.#bytesAt(this.#target));
  }

  /** @param {number} bpp */
  #bytesAt(bpp) {
    return Math.floor((bpp * (this.#reception?.pixels ?? 0)) / 8);
  }

  /** @param {number | null} at */
  #scrub(at) {
    this.#place(at);
    this.#paint();
    this.#draw();
  }

  /** @param {number | null} at */
  #place(at) {
    this.#at = at;
    this.#parts.live.setAttribute("aria-pressed", String(at === null));
  }

  #more() {
    this.#target = this.#next;
    this.#reception?.want({ bpp: this.#target });
    this.#changed();
  }

  /** Where "More" goes: the target if it was not reached, or else twice as far. */
  get #next() {
    const reception = this.#reception;
    const there = reception ? reception.bpp(reception.length) * 1.01 >= this.#target : false;
    const further = reception?.state === "receiving" || there;
    return further ? Math.min(2 * this.#target, MOST) : this.#target;
  }

  /** There is more of it, or its state is another. */
  #changed() {
    const reception = this.#reception;
    if (!reception) return;
    this.#element.dataset.state = reception.state;
    this.#element.dataset.bytes = String(reception.length);
    if (reception.error) this.#notices.explain("picture", reception.error);
    if (this.#shown && this.#shown.bytes > reception.length) {
      // It is of a stream that the sender no longer has.
      this.#shown = null;
      this.#place(null);
      reception.picture.priority = URGENT;
    }
    if (this.#at === null && reception.length > (this.#shown?.bytes ?? 0)) this.#paint(true);
    this.#draw();
    this.#price();
    this.#say();
  }

  /**
   * Have it painted as it is wished now.  Synthesis takes several evaluations: while a slider
   * moves, and for a first picture, there is none.
   *
   * @param {boolean} arriving Whether it is because more has arrived.
   */
  #paint(arriving = false) {
    const reception = this.#reception;
    if (!reception?.length) return;
    clearTimeout(this.#timer);
    const { told } = reception;
    const newest = arriving ? reception.next(this.#shown?.bytes ?? 0) : told.bytes || undefined;
    const wish = {
      bytes: this.#at ?? newest,
      method: this.#dial,
      observation: this.#parts.observation.checked,
    };
    const synthesis = wish.method > 0 && !wish.observation;
    this.#parts.synthesised.hidden = !synthesis;
    this.#parts.realism.style.setProperty("--share", String(this.#dial));
    this.#parts.realismValue.textContent = this.#dial.toFixed(2).replace(/\.?0+$/, "");
    if (!arriving) this.#painter.forget();
    if (synthesis && !(arriving && this.#shown)) {
      this.#painter.paint(reception, { ...wish, method: 0 });
      this.#timer = setTimeout(() => this.#painter.paint(reception, wish), REST);
    } else {
      this.#painter.paint(reception, wish);
    }
  }

  /** @param {Shown} shown */
  #show(shown) {
    const reception = this.#reception;
    if (!reception) return;
    this.#shown = shown;
    if (!reception.error) this.#notices.clear("picture");
    reception.tell(shown.bytes, shown.predictedPsnr);
    this.#element.style.setProperty("--ratio", `${shown.width} / ${shown.height}`);
    const { canvas, caption, waiting } = this.#parts;
    const psnr = shown.predictedPsnr;
    waiting.hidden = true;
    const said = [bytes(shown.bytes), rate(shown.bpp), `about ${decibels(psnr)}`];
    caption.textContent = together(said);
    Object.assign(canvas.dataset, {
      bytes: String(shown.bytes),
      psnr: psnr.toFixed(2),
      state: shown.method === "observation" ? "observation" : "picture",
      realism: String(shown.method),
    });
    canvas.setAttribute("aria-label", `${reception.name}, as ${bytes(shown.bytes)} show it`);
    this.#facts.shown(shown, reception);
    this.#fit();
    this.#draw();
    this.#price();
    this.#say();
    if (this.#at === null && reception.length > shown.bytes) this.#paint(true);
  }

  /** Have it read aloud how it stands. */
  #say() {
    const reception = this.#reception;
    if (!reception || !this.#shown) return;
    const how = `${bytes(reception.length)}, about ${decibels(reception.psnr(reception.length))}`;
    const states = {
      target: "enough for now",
      stopped: "stopped",
      complete: "complete",
    };
    const state =
      reception.state in states ? states[/** @type {keyof typeof states} */ (reception.state)] : "";
    this.#saying.say(state ? `${how}: ${state}` : how);
  }

  /** @param {Error} error */
  #fail(error) {
    // Too little for a picture is no failure: more is on its way.
    if (error.name !== "NothingDecodable") this.#notices.explain("picture", error);
  }

  #draw() {
    if (!this.#reception) return;
    this.#axis.show(this.#reception, this.#end, this.#at);
    this.#compare();
  }

  #compare() {
    if (this.#reception && this.#shown) {
      const { bytes: count, width } = this.#shown;
      this.#comparison.ask(this.#reception.name, count, this.#end, width);
    }
  }

  /** Say what more of it would cost. */
  #price() {
    const reception = this.#reception;
    if (!reception) return;
    const { enough, more, cost } = this.#parts;
    const receiving = reception.state === "receiving";
    enough.disabled = !receiving;
    more.disabled = reception.state === "complete" || !reception.pixels;
    const perSecond = this.#pace;
    /** @param {number} count */
    const time = (count) =>
      perSecond ? `, ${duration(count / perSecond)} at ${speed(perSecond)}` : "";
    if (reception.state === "complete") {
      cost.textContent = "This is all there is.";
    } else if (!reception.pixels) {
      cost.textContent = "";
    } else if (receiving) {
      const left = Math.max(0, this.#end - reception.length);
      cost.textContent = left ? `${bytes(left)} to go${time(left)}` : "";
    } else {
      const left = Math.max(0, this.#bytesAt(this.#next) - reception.length);
      cost.textContent = `More: another ${bytes(left)}${time(left)}`;
    }
  }

  /** Give the picture the room there is; enlarged, by whole pixels of the screen. */
  #fit() {
    const { frame } = this.#parts;
    if (!this.#shown) return;
    const { width, height } = this.#shown;
    const dots = globalThis.devicePixelRatio || 1;
    const scale = Math.min(frame.clientWidth / width, frame.clientHeight / height) * dots;
    // On fine screens nobody sees that one pixel is larger than the next.
    const whole = scale > 1 && dots < 2 ? Math.floor(scale) : scale;
    this.#element.style.setProperty("--width", `${(width * whole) / dots}px`);
    this.#element.style.setProperty("--height", `${(height * whole) / dots}px`);
    this.#element.toggleAttribute("data-enlarged", whole > 1);
  }
}

/** @param {HTMLElement} anchor @param {string | null} name */
function link(anchor, name) {
  if (name === null) anchor.removeAttribute("href");
  else anchor.setAttribute("href", fragment(name));
}

/** @param {HTMLElement} stage */
function partsOf(stage) {
  /** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
  const part = (id, kind) => {
    const found = stage.querySelector(`#${id}`);
    if (!(found instanceof kind)) throw new TypeError(`the page has no ${id}`);
    return found;
  };
  return {
    frame: /** @type {HTMLElement} */ (stage.querySelector(".ours .frame")),
    canvas: part("canvas", HTMLCanvasElement),
    waiting: part("waiting", HTMLElement),
    caption: part("caption", HTMLElement),
    synthesised: part("synthesised", HTMLElement),
    comparison: part("comparison", HTMLElement),
    axis: part("axis", HTMLElement),
    live: part("live", HTMLButtonElement),
    enough: part("enough", HTMLButtonElement),
    more: part("more", HTMLButtonElement),
    cost: part("cost", HTMLElement),
    realism: part("realism", HTMLInputElement),
    realismValue: part("realism-value", HTMLOutputElement),
    observation: part("observation", HTMLInputElement),
    compareSwitch: part("compare-switch", HTMLElement),
    compare: part("compare", HTMLInputElement),
    facts: part("facts", HTMLElement),
    said: part("said", HTMLElement),
    save: part("save", HTMLButtonElement),
    previous: part("previous", HTMLAnchorElement),
    next: part("next", HTMLAnchorElement),
  };
}
