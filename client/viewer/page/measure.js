/**
 * Measures pictures against some pixels of the original, which the sender provides.
 *
 * @module
 */

/** Most pixels of the original that are compared; a smaller picture is compared as a whole. */
const MOST_SAMPLES = 16_384;
/** A multiplier whose products look random in their upper bits. */
const GOLDEN = 0x9e3779b1;

/**
 * Return the indices of the samples, ascending: one in every stretch of equal length, at a
 * pseudo-random place, so that a regular pattern in the picture does not bias the sample.
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

/** Compares pictures with sampled pixels of their original. */
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
   * Load the samples of a picture; return null if the sender offers none.
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
   * Return the PSNR of a picture in dB; a smaller one is enlarged first.
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
