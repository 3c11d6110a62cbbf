/**
 * Says of a large picture what its canvas shows, and where its dial stands.
 *
 * @module
 */

import { bytes } from "./words.js";

/** @typedef {ReturnType<typeof import("./parts.js").partsOf>} Parts */

/**
 * Say what the canvas of a `stage` shows of the picture called `name`.
 *
 * @param {HTMLElement} stage
 * @param {Parts} parts
 * @param {string} name
 * @param {import("./painter.js").Shown} shown
 */
export function present(stage, { canvas, waiting, save }, name, shown) {
  waiting.hidden = true;
  save.disabled = false;
  stage.style.setProperty("--ratio", `${shown.width} / ${shown.height}`);
  Object.assign(canvas.dataset, {
    bytes: String(shown.bytes),
    psnr: shown.predictedPsnr.toFixed(2),
    state: shown.method === "observation" ? "observation" : "picture",
    realism: String(shown.method),
  });
  canvas.setAttribute("aria-label", `${name}, as ${bytes(shown.bytes)} show it`);
}

/**
 * Show where the dial of realism stands, from 0 to 1.
 *
 * @param {Parts} parts
 * @param {number} dial
 */
export function tellDial({ realism, realismValue }, dial) {
  realism.style.setProperty("--share", String(dial));
  realismValue.textContent = dial.toFixed(2).replace(/\.?0+$/, "");
}
