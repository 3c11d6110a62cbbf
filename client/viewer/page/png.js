/**
 * Adds text chunks to a PNG.
 *
 * @module
 */

const SIGNATURE = 8;
/** The header chunk: length, type, 13 bytes, check. */
const HEADER = 25;

/**
 * Return a PNG with text chunks after its header.
 *
 * @param {Uint8Array} png
 * @param {Record<string, string>} text Keys and values in Latin-1.
 */
export function described(png, text) {
  const chunks = Object.entries(text).map(([key, value]) => chunk("tEXt", `${key}\0${value}`));
  const at = SIGNATURE + HEADER;
  return new Blob([png.slice(0, at), ...chunks, png.slice(at)], {
    type: "image/png",
  });
}

/** @param {string} type @param {string} text */
function chunk(type, text) {
  const bytes = Uint8Array.from(type + text, (character) => character.charCodeAt(0) & 0xff);
  const whole = new Uint8Array(bytes.length + 8);
  const view = new DataView(whole.buffer);
  view.setUint32(0, text.length);
  whole.set(bytes, 4);
  view.setUint32(bytes.length + 4, crc32(bytes));
  return whole;
}

/** The CRC of PNG chunks (ISO 3309). @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
