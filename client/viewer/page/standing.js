/**
 * The status line: the connection to the sender, in a few words.
 *
 * @module
 */

import { pictures, speed } from "./words.js";

/** @typedef {"connecting" | "connected" | "waiting" | "closed"} Status */

const WORDS = {
  connecting: "Connecting …",
  connected: "Connected",
  waiting: "Sender gone, trying again",
  closed: "Closed",
};

/** The status line.  Screen readers read its changes, except the countdown and the speed. */
export class Standing {
  #status;
  #speed;
  #retry;
  #notices;

  /**
   * @param {HTMLElement} status
   * @param {HTMLElement} speedOfLink
   * @param {HTMLButtonElement} retry
   * @param {import("./notices.js").Notices} notices
   */
  constructor(status, speedOfLink, retry, notices) {
    this.#status = status;
    this.#speed = speedOfLink;
    this.#retry = retry;
    this.#notices = notices;
  }

  /** @param {Status} status @param {Error | null} [error] The reason. */
  tell(status, error = null) {
    const before = this.#status.dataset.state;
    // Repeated attempts are no news until one succeeds.
    if (before === "waiting" && status === "connecting") return;
    this.#status.dataset.state = status;
    const words = document.createElement("span");
    words.textContent = WORDS[status];
    this.#status.replaceChildren(words);
    this.#retry.hidden = status !== "waiting";
    if (status === "connected") this.#notices.clear("link");
    else if (error) this.#notices.explain("link", error);
  }

  /**
   * Update the speed, the countdown and the number of pictures being computed.
   *
   * @param {number} perSecond Bytes.
   * @param {number | null} retryIn Seconds until the next attempt.
   * @param {number} computing Pictures that are being computed.
   */
  pace(perSecond, retryIn, computing) {
    const { state } = this.#status.dataset;
    if (state === "connected") {
      const coming = perSecond >= 1 ? [speed(perSecond)] : [];
      const work = computing ? [`computing ${pictures(computing)}`] : [];
      this.#speed.textContent = [...coming, ...work].join(" · ") || "idle";
    } else if (retryIn === null) this.#speed.textContent = "";
    else this.#speed.textContent = `in ${Math.max(1, Math.ceil(retryIn))} s`;
  }
}
