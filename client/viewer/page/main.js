/**
 * The page: shows all pictures of a sender, or one.
 *
 * @module
 */

import { connect, DiffcError, published } from "diffc-client";

import { whyOneThread } from "./abilities.js";
import { named } from "./address.js";
import { broadcast } from "./broadcast.js";
import { asked, decoding, models } from "./engine.js";
import { Gallery } from "./gallery.js";
import { Notices } from "./notices.js";
import { Reception } from "./reception.js";
import { Stage } from "./stage.js";
import { Standing } from "./standing.js";
import { pictures } from "./words.js";

/** Milliseconds between two updates of the status, and between two of the list of pictures. */
const LOOK = 500;
const REST = 200;
const ASKING = "Asking what pictures there are …";
const EMPTY = "The sender has no pictures yet. Put some into its folder, and they appear here.";
const NONE = "No pictures have been published here yet.";

/** @typedef {import("diffc-client").Decoding} Decoding */
/**
 * @typedef {{ compare: boolean, sender: string | null, rate: number | null,
 *   max_pixels: number | null, published: boolean, packets: boolean }} Viewer
 */
/** @typedef {import("./reception.js").Source} Source */

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
  if (viewer.packets) {
    const elements = { stage: element("stage"), title: element("title"), retry: element("retry") };
    const shown = broadcast(socket(), decoding, elements, standing(), notices);
    setInterval(() => shown.look(decoderIn(decoding.info())), LOOK);
    return;
  }
  new Page(viewer.published ? published(place()) : connected(known), decoding, viewer).begin();
}

/** Return the URL that the page is at: it may be below a path. */
function place() {
  const url = new URL("./", document.baseURI);
  url.hash = "";
  return url;
}

/** Return the URL of the WebSocket of who serves the page. */
function socket() {
  const url = place();
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** @param {import("./engine.js").ModelFile[]} known */
function connected(known) {
  const names = known.map(({ fingerprint }) => fingerprint);
  return connect(socket(), { models: names, references: true });
}

/** Return the status line. */
function standing() {
  const retry = /** @type {HTMLButtonElement} */ (element("retry"));
  return new Standing(element("status"), element("speed"), retry, notices);
}

/** The page's parts, and which of them is shown. */
class Page {
  #sender;
  #published;
  #decoding;
  #gallery;
  #stage;
  #standing;
  #title = element("title");
  /** @type {Map<string, Reception>} */ #receptions = new Map();
  /** The thumbprint of each picture when it was last asked for. @type {Map<string, string>} */
  #thumbprints = new Map();
  /** Whether the sender has announced all its pictures. */
  #complete = false;
  /** @type {string | null} */ #open = null;

  /**
   * @param {Source} sender
   * @param {Decoding} decoding
   * @param {Viewer} viewer
   */
  constructor(sender, decoding, viewer) {
    this.#sender = sender;
    this.#published = viewer.published;
    this.#decoding = decoding;
    const template = /** @type {HTMLTemplateElement} */ (element("tile"));
    this.#gallery = new Gallery(element("gallery"), template);
    this.#stage = new Stage(element("stage"), notices);
    this.#stage.comparable = viewer.compare;
    element("retry").addEventListener("click", () => sender.retry());
    this.#standing = standing();
  }

  begin() {
    this.#sender.onstatus = (status, error) => this.#standing.tell(status, error);
    this.#standing.tell(this.#sender.status);
    globalThis.addEventListener("hashchange", () => this.#go());
    element("skip").addEventListener("click", (event) => {
      // The fragment names the picture.
      event.preventDefault();
      element("main").focus();
    });
    document.addEventListener("keydown", (event) => this.#press(event));
    setInterval(() => this.#look(), LOOK);
    this.#go(true);
    this.#follow();
  }

  /** Show the catalogue and its changes. */
  async #follow() {
    try {
      for await (const state of this.#sender.follow()) {
        this.#take(state);
        // The pages of a large catalogue arrive in quick succession.
        await new Promise((resolve) => setTimeout(resolve, REST));
      }
    } catch (error) {
      // The status line shows that the sender was given up.
      if (!(error instanceof DiffcError)) throw error;
    }
  }

  /** @param {import("diffc-client").Pictures} state */
  #take({ entries, complete, leftOut }) {
    const names = entries.map(({ name }) => name);
    this.#complete = complete;
    this.#gallery.fill(names, (name) => this.#reception(name));
    for (const { name, thumbprint } of entries) {
      const before = this.#thumbprints.get(name) ?? thumbprint;
      if (before !== thumbprint) this.#receptions.get(name)?.renew();
      this.#thumbprints.set(name, thumbprint);
    }
    this.#forget(new Set(names));
    if (!names.length) this.#gallery.note(!complete ? ASKING : this.#published ? NONE : EMPTY);
    else this.#gallery.note(leftOut ? `${pictures(leftOut)} older than these are not listed.` : "");
    if (this.#open !== null) this.#stage.surround(this.#neighbours(this.#open));
    this.#presence();
  }

  /**
   * Drop pictures that the sender has removed, except the one that is shown.
   *
   * @param {Set<string>} there
   */
  #forget(there) {
    for (const name of this.#thumbprints.keys()) {
      if (!there.has(name) && name !== this.#open) this.#thumbprints.delete(name);
    }
    for (const [name, reception] of this.#receptions) {
      if (there.has(name) || name === this.#open) continue;
      reception.rest();
      this.#receptions.delete(name);
    }
  }

  /** Show a note if the sender has removed the picture that is shown. */
  #presence() {
    const name = this.#open;
    if (name === null || !this.#complete || !this.#thumbprints.has(name)) return;
    this.#stage.present(this.#gallery.names.includes(name));
  }

  /** @param {string} name */
  #reception(name) {
    let reception = this.#receptions.get(name);
    if (!reception) {
      const here = (/** @type {string} */ other) => this.#receptions.get(other)?.bytes;
      reception = new Reception(name, this.#sender, this.#decoding, here);
      this.#receptions.set(name, reception);
    }
    return reception;
  }

  /** Show the picture in the address, or all pictures. */
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
    this.#presence();
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
    const computing = this.#gallery.look() + Number(this.#stage.computing);
    this.#standing.pace(rate, this.#sender.retryIn, computing);
    const decoder = decoderIn(this.#decoding.info());
    this.#stage.refresh({ speed: rate, capacity, received, roundTrip, decoder });
  }
}

/**
 * Return the name of the decoder; empty before there is one.
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
