/**
 * How close pictures come to the original, of which the sender gives some pixels to measure with.
 *
 * @module
 */

/** Pixels of the original that are compared, at most; of a smaller picture it is all. */
const MOST_SAMPLES = 16_384;
/** A multiplier whose products look random in their upper bits. */
const GOLDEN = 0x9e3779b1;

/**
 * Return where the samples lie, in the order of the pixels: one in every stretch of equal length, at
 * a place of it that looks random, so that no pattern of the picture is missed.
 *
 * @param {number} pixels
 */
function places(pixels) {
  const count = Math.min(pixels, MOST_SAMPLES);
  const stretch = Math.floor(pixels / count);
  return Array.from({ length: count }, (_, index) => {
    const drawn = Math.imul(index, GOLDEN) >>> 16;
    return index * stretch + (drawn % stretch);
  });
}

/** Pixels of an original, and the pictures that are compared with them. */
export class Measure {
  #samples;
  #size;

  /**
   * @param {Uint8ClampedArray} samples RGBA.
   * @param {{ width: number, height: number }} size Of the original.
   */
  constructor(samples, size) {
    this.#samples = samples;
    this.#size = size;
  }

  /**
   * Return what to measure with, or null if the sender offers nothing.
   *
   * @param {string} url Of the samples, as a picture.
   * @param {{ width: number, height: number }} size Of the original.
   */
  static async from(url, size) {
    const answer = await fetch(url);
    if (!answer.ok) return null;
    const strip = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
    if (strip.width * strip.height < Math.min(size.width * size.height, MOST_SAMPLES)) return null;
    return new Measure(pixelsOf(strip, strip), size);
  }

  /**
   * Return the PSNR of a picture in dB; what is smaller is enlarged first.
   *
   * @param {OffscreenCanvas | HTMLImageElement} picture
   */
  psnr(picture) {
    const pixels = pixelsOf(picture, this.#size);
    let sum = 0;
    let count = 0;
    for (const [index, place] of places(this.#size.width * this.#size.height).entries()) {
      for (let channel = 0; channel < 3; channel++) {
        const error = pixels[4 * place + channel] - this.#samples[4 * index + channel];
        sum += error * error;
        count += 1;
      }
    }
    return 10 * Math.log10(255 ** 2 / Math.max(sum / count, 1e-3));
  }
}

/**
 * @param {CanvasImageSource} picture
 * @param {{ width: number, height: number }} size
 */
function pixelsOf(picture, { width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new TypeError("this browser has no canvas to measure with");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}
