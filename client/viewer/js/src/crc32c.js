/**
 * The CRC32C (Castagnoli) of bytes.
 *
 * @module
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/**
 * Return the CRC32C of `data`, continuing `crc`.
 *
 * @param {Uint8Array} data
 * @param {number} [crc]
 */
export function crc32c(data, crc = 0) {
  let state = ~crc;
  for (let i = 0; i < data.length; i++) state = TABLE[(state ^ data[i]) & 0xff] ^ (state >>> 8);
  return ~state >>> 0;
}
