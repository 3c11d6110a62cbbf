/**
 * Shows a broadcast: one picture, from packets of which some are lost.
 *
 * @module
 */

import { Caption, kind } from "./caption.js";
import { fit } from "./fitting.js";
import { Gathering } from "./gathering.js";
import { Painter } from "./painter.js";
import { partsOf } from "./parts.js";
import { present, tellDial } from "./presenting.js";
import { save } from "./saving.js";
import { Saying } from "./saying.js";
import { bytes, dimensions, expected, together } from "./words.js";
import { Work } from "./work.js";

/** Milliseconds that a slider has to rest before detail is synthesised, which takes long. */
const REST = 300;

/** @typedef {import("./painter.js").Shown} Shown */

/** The broadcast and its controls. */
export class Broadcast {
  #element;
  #parts;
  #notices;
  #gathering;
  #caption;
  #saying;
  #painter;
  #work;
  #title;
  /** @type {Shown | null} */ #shown = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {HTMLElement} element The stage.
   * @param {HTMLElement} title
   * @param {import("./notices.js").Notices} notices
   * @param {Gathering} gathering
   */
  constructor(element, title, notices, gathering) {
    this.#element = element;
    this.#title = title;
    this.#notices = notices;
    this.#gathering = gathering;
    this.#parts = partsOf(element);
    const { canvas, caption, synthesised, said, frame } = this.#parts;
    this.#caption = new Caption(caption, synthesised);
    this.#saying = new Saying(said);
    this.#work = new Work(element, this.#parts);
    this.#painter = new Painter(
      canvas,
      (shown) => this.#show(shown),
      (error) => this.#fail(error),
    );
    new ResizeObserver(() => this.#shown && fit(element, frame, this.#shown)).observe(frame);
    gathering.addEventListener("change", () => this.#changed());
    this.#listen();
    element.hidden = false;
    this.#parts.save.disabled = true;
    this.#changed();
  }

  /** Whether the picture is being computed. */
  get computing() {
    return this.#painter.computing !== null;
  }

  /** Update what is computed. @param {string} decoder In words; empty before there is one. */
  refresh(decoder) {
    const { length } = this.#gathering;
    this.#work.show(length ? this.#painter.computing : null, {
      bytes: length,
      first: this.#shown === null,
      loaded: decoder !== "",
    });
  }

  #listen() {
    const { realism, observation, save: saving } = this.#parts;
    realism.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#paint(), REST);
      this.#dial();
    });
    observation.addEventListener("change", () => this.#paint());
    saving.addEventListener("click", () => {
      if (this.#shown) save(this.#parts.canvas, this.#name, this.#shown);
    });
  }

  get #name() {
    const { newest, station } = this.#gathering.receiver;
    const number = newest ? newest.identity.toString(16).padStart(4, "0") : "";
    return [station || "broadcast", number].filter(Boolean).join(" ");
  }

  #changed() {
    const { receiver } = this.#gathering;
    const { newest, counts, station } = receiver;
    const name = this.#name;
    if (this.#title.textContent !== name) this.#title.textContent = document.title = name;
    Object.assign(this.#element.dataset, {
      state: newest?.complete ? "complete" : newest ? "receiving" : "idle",
      packets: String(counts.new),
      missing: String(newest?.missing ?? ""),
    });
    const missing = newest?.missing ?? null;
    const pieces = newest && missing !== null ? ` of ${newest.pieces + missing}` : "";
    this.#list([
      ["Packets", newest ? `${counts.new}, and ${counts.known} that told nothing new` : ""],
      ["Missing", missing === null ? "" : `${missing}${pieces} pieces`],
      ["Dropped", refused(counts)],
      ["Station", station],
      ["Size", this.#shown ? dimensions(this.#shown.width, this.#shown.height) : ""],
    ]);
    this.#paint();
  }

  /** @param {[string, string][]} facts */
  #list(facts) {
    const parts = facts
      .filter(([, fact]) => fact)
      .flatMap(([name, fact]) => {
        const [term, description] = [document.createElement("dt"), document.createElement("dd")];
        term.textContent = name;
        description.textContent = fact;
        return [term, description];
      });
    this.#parts.facts.replaceChildren(...parts);
  }

  #paint() {
    if (!this.#gathering.receiver.newest) return;
    this.#painter.paint(this.#gathering, {
      method: this.#dial(),
      observation: this.#parts.observation.checked,
    });
  }

  /** Show where the dial stands, and return it. */
  #dial() {
    const dial = Number(this.#parts.realism.value);
    tellDial(this.#parts, dial);
    return dial;
  }

  /** @param {Shown} shown */
  #show(shown) {
    this.#shown = shown;
    this.#notices.clear("picture");
    this.#caption.show(shown);
    present(this.#element, this.#parts, this.#name, shown);
    fit(this.#element, this.#parts.frame, shown);
    const missing = this.#gathering.receiver.newest?.missing;
    const lacking = missing ? [`${missing} pieces missing`] : missing === 0 ? ["complete"] : [];
    const quality =
      kind(shown) === "mean" ? [expected(shown.predictedPsnr, shown.predictedPsnrRange)] : [];
    this.#saying.say(together([bytes(shown.bytes), ...quality, ...lacking]));
  }

  /** @param {Error} error */
  #fail(error) {
    // Too few packets for a picture is no failure: more will arrive.
    if (error.name !== "NothingDecodable") this.#notices.explain("picture", error);
  }
}

/** Packets that were no use, in words. @param {Record<string, number>} counts */
function refused({ damaged, foreign }) {
  const said = [];
  if (damaged) said.push(`${damaged} damaged`);
  if (foreign) said.push(`${foreign} of other streams`);
  return said.join(", ");
}

/**
 * Show the broadcast of the relay that serves this page.
 *
 * @param {string} url Of the relay.
 * @param {import("diffc-client").Decoding} decoding
 * @param {{ stage: HTMLElement, title: HTMLElement, retry: HTMLElement }} elements
 * @param {import("./standing.js").Standing} standing
 * @param {import("./notices.js").Notices} notices
 */
export function broadcast(url, decoding, { stage, title, retry }, standing, notices) {
  document.body.dataset.view = "broadcast";
  const gathering = new Gathering(url, decoding, (status, error) => standing.tell(status, error));
  const { link } = gathering;
  retry.addEventListener("click", () => link.retry());
  const shown = new Broadcast(stage, title, notices, gathering);
  return {
    /** @param {string} decoder */
    look(decoder) {
      standing.pace(link.statistics().rate, link.retryIn, Number(shown.computing));
      shown.refresh(decoder);
    },
  };
}
