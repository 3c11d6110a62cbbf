/**
 * Shows one picture, large, while it arrives, with its controls.
 *
 * @module
 */

import { fragment } from "./address.js";
import { Axis } from "./axis.js";
import { Caption, kind } from "./caption.js";
import { Comparison } from "./comparison.js";
import { Cost } from "./cost.js";
import { Facts } from "./facts.js";
import { fit } from "./fitting.js";
import { Motion } from "./motion.js";
import { Painter } from "./painter.js";
import { partsOf } from "./parts.js";
import { present, tellDial } from "./presenting.js";
import { save } from "./saving.js";
import { Saying } from "./saying.js";
import { Selection } from "./selection.js";
import { bytes, expected } from "./words.js";
import { Work } from "./work.js";

/** The first target of a picture in bits per pixel; "More" doubles it. */
const TARGET = 0.2;
/** The largest target in bits per pixel: that of an uncompressed picture. */
const MOST = 24;
/** The priority of this picture, which is computed before all others. */
const URGENT = 1;
/** Milliseconds that a slider has to rest before detail is synthesised, which takes long. */
const REST = 300;

/** @typedef {import("./reception.js").Reception} Reception */
/** @typedef {import("./painter.js").Shown} Shown */
/** @typedef {{ previous: string | null, next: string | null }} Neighbours */

/** The large picture and its controls. */
export class Stage {
  #element;
  #parts;
  #axis;
  #comparison;
  #caption;
  #cost;
  #facts;
  #saying;
  #selection;
  #painter;
  #motion;
  #work;
  #notices;
  /** @type {Reception | null} */ #reception = null;
  /** The picture shown before. @type {Reception | null} */ #before = null;
  #target = TARGET;
  /** Whether there is a note that the sender no longer has it. */
  #gone = false;
  /** The prefix that is shown; null for the newest. @type {number | null} */ #at = null;
  /** @type {Shown | null} */ #shown = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #follow = () => this.#changed();
  #renew = () => this.#renewed();
  #region = () => this.#sharpened();
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
    const { axis, caption, comparison, facts, canvas, said, synthesised } = this.#parts;
    this.#axis = new Axis(axis, (at) => this.#scrub(at));
    this.#caption = new Caption(caption, synthesised);
    this.#comparison = new Comparison(comparison, (psnr) =>
      this.#caption.measured(psnr, this.#pace),
    );
    this.#cost = new Cost(this.#parts);
    this.#facts = new Facts(facts);
    this.#saying = new Saying(said);
    this.#painter = new Painter(
      canvas,
      (shown) => this.#show(shown),
      (error) => this.#fail(error),
      (shown) => (this.#at === null ? (this.#reception?.regions?.over(shown) ?? shown) : shown),
    );
    this.#motion = new Motion(
      canvas,
      this.#parts.motion,
      (shown) => this.#show(shown),
      (error) => this.#fail(error),
    );
    this.#selection = new Selection(
      this.#parts,
      (rectangle) => this.#sharpen(rectangle),
      () => this.#reception?.spread(),
    );
    this.#work = new Work(element, this.#parts);
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
    // The gallery may still have shown it, so it is released only now.
    if (this.#before !== reception) this.#before?.rest();
    this.#reception = reception;
    this.#element.hidden = false;
    this.#target = TARGET;
    this.surround(neighbours);
    this.#facts.begin(performance.now());
    reception.addEventListener("change", this.#follow);
    reception.addEventListener("renew", this.#renew);
    reception.regions?.addEventListener("change", this.#region);
    reception.picture.priority = URGENT;
    reception.want({ bpp: this.#target });
    this.#changed();
  }

  /** Show nothing, and stop receiving. */
  close() {
    this.#notices.clear("picture");
    this.#notices.clear("presence");
    this.#gone = false;
    this.#element.hidden = true;
    this.#clear();
    if (!this.#reception) return;
    this.#reception.removeEventListener("change", this.#follow);
    this.#reception.removeEventListener("renew", this.#renew);
    this.#reception.regions?.removeEventListener("change", this.#region);
    this.#reception.regions?.stop();
    this.#reception.stop();
    this.#reception.picture.priority = 0;
    this.#before = this.#reception;
    this.#reception = null;
  }

  /** Release all that belongs to the picture that was shown. */
  #clear() {
    clearTimeout(this.#timer);
    this.#painter.clear();
    this.#motion.clear();
    const { canvas, save: saving, waiting } = this.#parts;
    waiting.hidden = false;
    for (const key of Object.keys(canvas.dataset)) delete canvas.dataset[key];
    canvas.removeAttribute("aria-label");
    for (const name of ["--ratio", "--width", "--height"]) {
      this.#element.style.removeProperty(name);
    }
    this.#element.removeAttribute("data-enlarged");
    this.#element.removeAttribute("data-clip");
    saving.disabled = true;
    this.#shown = null;
    this.#caption.clear();
    this.#comparison.clear();
    this.#cost.clear();
    this.#saying.clear();
    this.#selection.clear();
    this.#selection.size = { width: 0, height: 0 };
    this.#work.clear();
    this.#place(null);
  }

  /** Start again, because the sender has replaced the picture. */
  #renewed() {
    const reception = this.#reception;
    if (!reception) return;
    this.#clear();
    this.#facts.begin(performance.now());
    this.#notices.clear("picture");
    const renewed = "The sender has a newer picture of this name: it begins anew.";
    this.#notices.say("presence", renewed, "", "hint");
    reception.picture.priority = URGENT;
    reception.want({ bpp: this.#target });
    this.#changed();
  }

  /** Show whether the sender still has the picture. @param {boolean} there */
  present(there) {
    const gone = "The sender no longer has this picture. What has arrived stays here.";
    if (!there) this.#notices.say("presence", gone, "", "hint");
    else if (this.#gone) this.#notices.clear("presence");
    this.#gone = !there;
  }

  /** Set the pictures before and after this one. @param {Neighbours} neighbours */
  surround({ previous, next }) {
    link(this.#parts.previous, previous);
    link(this.#parts.next, next);
  }

  /** Set whether the sender offers JPEG and AVIF to compare with. @param {boolean} offered */
  set comparable(offered) {
    this.#parts.compareSwitch.hidden = !offered;
  }

  /** Update the facts about link and decoder. */
  refresh(/** @type {import("./facts.js").Machine} */ machine) {
    if (!this.#reception) return;
    this.#selection.offered = this.#reception.divisible;
    this.#facts.machine(machine);
    // While nothing arrives, the rate says nothing about the link.
    const pace = this.#reception.state === "receiving" && machine.speed >= 1 ? machine.speed : 0;
    this.#pace = machine.capacity ?? (pace || this.#pace);
    this.#price();
    const waits = this.#length ? (this.#painter.computing ?? this.#motion.computing) : null;
    this.#work.show(waits, {
      bytes: this.#length,
      first: this.#shown === null,
      loaded: machine.decoder !== "",
    });
  }

  /** Whether the picture is being computed. */
  get computing() {
    const { computing } = this.#painter;
    return this.#reception !== null && (computing ?? this.#motion.computing) !== null;
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

  /** The target in bytes; before the picture's size is known, the bytes that have arrived. */
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

  /** @param {import("./selection.js").Rectangle} rectangle */
  #sharpen(rectangle) {
    const reception = this.#reception;
    if (!reception || !this.#shown) return;
    if (this.#at !== null) this.#scrub(null);
    reception.sharpen(rectangle, this.#shown, this.#dial);
  }

  /** Show what has arrived of a region. */
  #sharpened() {
    const part = this.#reception?.regions?.newest;
    if (part?.error) this.#notices.explain("picture", part.error);
    this.#facts.region(part ?? null);
    this.#element.dataset.region = part?.state ?? "none";
    this.#element.dataset.regionBytes = String(part?.shown?.bytes ?? 0);
    this.#element.dataset.regionLength = String(part?.length ?? 0);
    if (part?.shown) this.#painter.renew();
  }

  #more() {
    this.#target = this.#next;
    this.#reception?.want({ bpp: this.#target });
    this.#changed();
  }

  /** The target after "More": the present one if it was not reached, else twice as many bits. */
  get #next() {
    const reception = this.#reception;
    // A stream may end a little before its target.
    const there = reception ? reception.length * 1.01 >= this.#bytesAt(this.#target) : false;
    const further = reception?.state === "receiving" || there;
    return further ? Math.min(2 * this.#target, MOST) : this.#target;
  }

  /** Update after more has arrived, or the state has changed. */
  #changed() {
    const reception = this.#reception;
    if (!reception) return;
    this.#element.dataset.state = reception.state;
    this.#element.dataset.bytes = String(reception.length);
    if (reception.error) this.#notices.explain("picture", reception.error);
    if (this.#at === null && reception.length > (this.#shown?.bytes ?? 0)) this.#paint(true);
    this.#draw();
    this.#price();
    this.#tell();
  }

  /**
   * Paint it as the controls say.  Synthesis takes several evaluations, so there is none while a
   * slider moves, and for the first picture.
   *
   * @param {boolean} arriving Whether the reason is that more has arrived.
   */
  #paint(arriving = false) {
    const reception = this.#reception;
    if (!reception?.length) return;
    clearTimeout(this.#timer);
    const several = reception.curve.clip !== null;
    this.#element.toggleAttribute("data-clip", several);
    if (several) {
      // Of what was taken for a picture before its header was here.
      this.#painter.forget();
      this.#motion.show(reception, this.#at);
      return;
    }
    const { told } = reception;
    const newest = arriving ? reception.next(this.#shown?.bytes ?? 0) : told.bytes || undefined;
    const wish = {
      bytes: this.#at ?? newest,
      method: this.#dial,
      observation: this.#parts.observation.checked,
    };
    const synthesis = wish.method > 0 && !wish.observation;
    tellDial(this.#parts, this.#dial);
    if (!arriving && reception.regions) reception.regions.method = this.#dial;
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
    this.#selection.size = shown;
    if (!reception.error) this.#notices.clear("picture");
    reception.tell(shown.bytes, shown.predictedPsnr);
    this.#caption.show(shown);
    present(this.#element, this.#parts, reception.name, shown);
    this.#facts.shown(shown, reception);
    this.#fit();
    this.#draw();
    this.#price();
    this.#tell();
    if (this.#at === null && reception.length > shown.bytes) this.#paint(true);
  }

  /** Announce the state to screen readers. */
  #tell() {
    const reception = this.#reception;
    if (!reception || !this.#shown) return;
    const { predictedPsnr, predictedPsnrRange } = this.#shown;
    const mean = kind(this.#shown) === "mean";
    const quality = mean ? `, ${expected(predictedPsnr, predictedPsnrRange)}` : "";
    const how = `${bytes(reception.length)}${quality}`;
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
    // Too few bytes for a picture is no failure: more will arrive.
    if (error.name !== "NothingDecodable") this.#notices.explain("picture", error);
  }

  #draw() {
    if (!this.#reception) return;
    this.#axis.show(this.#reception, this.#end, this.#at);
    this.#compare();
  }

  #compare() {
    if (this.#reception && this.#shown && !this.#reception.curve.clip) {
      this.#comparison.ask(this.#reception.name, this.#shown, this.#end, this.#pace);
    }
  }

  /** Show what more of it would cost. */
  #price() {
    const reception = this.#reception;
    if (reception) {
      this.#cost.show(reception, this.#end, this.#bytesAt(this.#next), this.#pace);
    }
  }

  #fit() {
    const { frame } = this.#parts;
    if (!this.#shown) return;
    fit(this.#element, frame, this.#shown);
  }
}

/** @param {HTMLElement} anchor @param {string | null} name */
function link(anchor, name) {
  if (name === null) anchor.removeAttribute("href");
  else anchor.setAttribute("href", fragment(name));
}
