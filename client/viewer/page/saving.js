/**
 * Saves the shown picture as a PNG with a description.
 *
 * @module
 */

import { described } from "./png.js";

/** @typedef {import("./painter.js").Shown} Shown */

/**
 * Save a canvas as a file; its name gives the bytes, and says if detail is synthesised.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {string} name Of the picture.
 * @param {Shown} shown What is on the canvas.
 */
export async function save(canvas, name, shown) {
  const observation = shown.method === "observation";
  const dial = shown.method === "flow" ? 1 : Number(shown.method) || 0;
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!(blob instanceof Blob)) return;
  const how = observation ? "observation" : dial > 0 ? `realism ${dial}` : "mmse";
  /** @type {Record<string, string>} */
  const text = { "diffc-bytes": String(shown.bytes), "diffc-render": how };
  if (dial > 0 && !observation) {
    text.Comment =
      "Detail in this picture is synthesised: it looks plausible but was not transmitted. " +
      `Decoded from ${shown.bytes} bytes, rendered: ${how}.`;
  }
  const png = described(new Uint8Array(await blob.arrayBuffer()), text);
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(png);
  anchor.download = fileName(name, shown.bytes, dial, observation);
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 0);
}

/**
 * @param {string} name
 * @param {number} count
 * @param {number} dial
 * @param {boolean} observation
 */
function fileName(name, count, dial, observation) {
  const stem = name.replace(/^.*\//, "").replace(/\.[^.]+$/, "");
  const how = observation ? "-observation" : dial > 0 ? "-synthesised" : "";
  return `${stem}-${count}${how}.png`;
}
