/**
 * Formats numbers as text: bytes, decibels, rates, durations.
 *
 * @module
 */

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

/** "2,140 bytes". @param {number} count */
export function bytes(count) {
  return count === 1 ? "1 byte" : `${whole.format(count)} bytes`;
}

/** "2.1 kB", for marks on an axis. @param {number} count */
export function size(count) {
  if (count < 1000) return `${short.format(count)} B`;
  return count < 1e6 ? `${short.format(count / 1e3)} kB` : `${short.format(count / 1e6)} MB`;
}

/** "26.3 dB". @param {number} psnr */
export function decibels(psnr) {
  return `${psnr.toFixed(1)} dB`;
}

/** A quality whose range is narrower than so many dB is given by one number. */
const NARROW = 2;

/**
 * "about 26.3 dB", or if the range is wide, "19.8 to 22.9 dB".
 *
 * @param {number} psnr
 * @param {readonly [number, number]} [range] The range that most likely holds it.
 */
export function expected(psnr, range) {
  if (!range || range[1] - range[0] < NARROW) return `about ${decibels(psnr)}`;
  return `${range[0].toFixed(1)} to ${decibels(range[1])}`;
}

/** "0.083 bits per pixel". @param {number} bpp */
export function rate(bpp) {
  return `${bpp < 0.1 ? bpp.toPrecision(2) : bpp.toFixed(2)} bits per pixel`;
}

/** "2.1 kB/s". @param {number} perSecond Bytes. */
export function speed(perSecond) {
  return `${size(Math.round(perSecond))}/s`;
}

/** "0.8 s", "12 s", "3 min". @param {number} seconds */
export function duration(seconds) {
  if (seconds < 0.995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  return seconds < 5940 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** "3 pictures". @param {number} count */
export function pictures(count) {
  return count === 1 ? "1 picture" : `${whole.format(count)} pictures`;
}

/** "768 × 512". @param {number} width @param {number} height */
export function dimensions(width, height) {
  return `${width} × ${height}`;
}

/** "2,140 bytes · about 26.3 dB", with line breaks only between them. @param {string[]} figures */
export function together(figures) {
  return figures.map((words) => words.replaceAll(" ", "\u00a0")).join(" · ");
}
