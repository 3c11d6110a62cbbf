/**
 * Picture files, as browsers read them.
 *
 * @module
 */

import { PictureTooLarge, UnreadablePicture } from "./errors.js";

/** @typedef {import("./diffusion/reference.js").Picture} Picture */

/**
 * Return the picture of a file: upright, in 8-bit sRGB, transparent parts over white.
 *
 * Rejects with UnreadablePicture if this browser cannot read it, or if this is none, and with
 * PictureTooLarge beyond `mostPixels`.
 *
 * @param {Uint8Array} data
 * @param {number} mostPixels
 * @returns {Promise<Picture>}
 */
export async function readImage(data, mostPixels) {
  if (!globalThis.createImageBitmap || !globalThis.OffscreenCanvas) {
    throw new UnreadablePicture("picture files are read in browsers only: pass `image`");
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([data.slice()]));
  } catch (cause) {
    throw new UnreadablePicture("the picture that the stream starts from cannot be read here", {
      cause,
    });
  }
  const { width, height } = bitmap;
  try {
    if (width * height > mostPixels) {
      throw new PictureTooLarge(
        `the stream starts from a picture of ${width}x${height}, ` +
          `more than the limit of ${mostPixels} pixels`,
      );
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", {
      willReadFrequently: true,
    });
    if (!context) throw new UnreadablePicture("this browser has no canvas for pictures");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    const { data: pixels } = context.getImageData(0, 0, width, height);
    return { pixels, width, height };
  } finally {
    bitmap.close();
  }
}
