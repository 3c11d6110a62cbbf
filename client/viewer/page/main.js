/**
 * The page: a sender's pictures, all of them or one.
 *
 * @module
 */

import { connect } from "diffc-client";

import { whyOneThread } from "./abilities.js";
import { named } from "./address.js";
import { asked, decoding, models } from "./engine.js";
import { Gallery } from "./gallery.js";
import { Notices } from "./notices.js";
import { Reception } from "./reception.js";
import { Stage } from "./stage.js";
import { Standing } from "./standing.js";

/** Milliseconds between two looks at the link. */
const LOOK = 500;

/** @typedef {import("diffc-client").Decoding} Decoding */
/**
 * @typedef {{ compare: boolean, sender: string | null, rate: number | null,
 *   max_pixels: number | null }} Viewer
 */

const notices = new Notices(element("notices"));
if (decoding) {
  start(decoding).catch((error) => notices.explain("start", error));
} else {
  notices.say(
    "browser",
    "This browser cannot decode the pictures: it lacks WebAssembly with SIMD.",
    "A current Firefox, Chrome, Edge or Safari can.",
  );
}

/** @param {Decoding} decoding */
async function start(decoding) {
  /** @type {[Viewer, import("./engine.js").ModelFile[]]} */
  const [viewer, known] = await Promise.all([asked("viewer.json"), models]);
  if (viewer.max_pixels) decoding.limit(viewer.max_pixels);
  const socket = new URL("/", location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket.hash = "";
  const sender = connect(socket.href, { models: known.map(({ fingerprint }) => fingerprint) });
  new Page(sender, decoding, viewer).begin();
}

/** What is on the page, and which part of it is shown. */
class Page {
  #sender;
  #decoding;
  #gallery;
  #stage;
  #standing;
  #title = element("title");
  /** @type {Map<string, Reception>} */ #receptions = new Map();
  /** @type {string | null} */ #open = null;

  /**
   * @param {import("diffc-client").Sender} sender
   * @param {Decoding} decoding
   * @param {Viewer} viewer
   */
  constructor(sender, decoding, viewer) {
    this.#sender = sender;
    this.#decoding = decoding;
    const template = /** @type {HTMLTemplateElement} */ (element("tile"));
    this.#gallery = new Gallery(element("gallery"), template);
    this.#stage = new Stage(element("stage"), notices);
    this.#stage.comparable = viewer.compare;
    const retry = /** @type {HTMLButtonElement} */ (element("retry"));
    retry.addEventListener("click", () => sender.retry());
    this.#standing = new Standing(element("status"), element("speed"), retry, notices);
  }

  begin() {
    this.#sender.onstatus = (status, error) => {
      this.#standing.tell(status, error);
      if (status === "connected") this.#list();
    };
    this.#standing.tell(this.#sender.status);
    globalThis.addEventListener("hashchange", () => this.#go());
    element("skip").addEventListener("click", (event) => {
      // The fragment is the picture's.
      event.preventDefault();
      element("main").focus();
    });
    document.addEventListener("keydown", (event) => this.#press(event));
    setInterval(() => this.#look(), LOOK);
    this.#go(true);
    if (this.#sender.status === "connected") this.#list();
  }

  /** Ask for the pictures there are. */
  async #list() {
    try {
      const names = (await this.#sender.catalogue()).map(({ name }) => name);
      this.#gallery.fill(names, (name) => this.#reception(name));
      if (this.#open !== null) this.#stage.surround(this.#neighbours(this.#open));
      notices.clear("catalogue");
    } catch (error) {
      if (this.#sender.status === "connected")
        notices.explain("catalogue", /** @type {Error} */ (error));
    }
  }

  /** @param {string} name */
  #reception(name) {
    let reception = this.#receptions.get(name);
    if (!reception) {
      reception = new Reception(name, this.#sender, this.#decoding);
      this.#receptions.set(name, reception);
    }
    return reception;
  }

  /** Show what the address names. */
  #go(first = false) {
    const name = named(location.hash);
    if (name === null) {
      this.#stage.close();
      this.#gallery.show(this.#open);
    } else {
      this.#gallery.hide();
      this.#stage.open(this.#reception(name), this.#neighbours(name));
      globalThis.scrollTo(0, 0);
    }
    this.#open = name;
    this.#title.textContent = name ?? "All pictures";
    if (name !== null && !first) this.#title.focus();
    document.body.dataset.view = name === null ? "gallery" : "picture";
    document.title = name ?? "Pictures";
  }

  /** @param {string} name */
  #neighbours(name) {
    const names = this.#gallery.names;
    const place = names.indexOf(name);
    return {
      previous: place > 0 ? names[place - 1] : null,
      next: place >= 0 ? (names[place + 1] ?? null) : null,
    };
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (this.#open === null || event.defaultPrevented) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "Escape") location.hash = "#/";
    if (event.target instanceof HTMLInputElement) return;
    if (event.key === "ArrowLeft") element("previous").click();
    if (event.key === "ArrowRight") element("next").click();
  }

  #look() {
    const { rate, capacity, received, roundTrip } = this.#sender.statistics();
    this.#standing.pace(rate, this.#sender.retryIn);
    const decoder = decoderIn(this.#decoding.info());
    this.#stage.refresh({ speed: rate, capacity, received, roundTrip, decoder });
  }
}

/**
 * What decodes, in words; nothing as long as nothing does.
 *
 * @param {ReturnType<Decoding["info"]>} info
 */
function decoderIn(info) {
  if (!info) return "";
  const { provider, threads: used } = info;
  if (provider === "webgpu") return "WebGPU";
  const why = used === 1 ? whyOneThread() : null;
  return `WebAssembly, ${used} thread${used === 1 ? "" : "s"}${why ? `: ${why}` : ""}`;
}

/** @param {string} id @returns {HTMLElement} */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new TypeError(`the page has no ${id}`);
  return found;
}
