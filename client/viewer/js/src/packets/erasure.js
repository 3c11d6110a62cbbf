/**
 * Computes missing pieces from repairs.
 *
 * A repair is a sum over the first so many pieces, each multiplied in the field of 256 elements
 * (x^8 + x^4 + x^3 + x^2 + 1) by 1 / (i + 128 + draw) for piece i, where + is exclusive or.
 * Repairs of smaller windows help those of larger ones.
 *
 * @module
 */

/** @typedef {{ window: number, draw: number, body: Uint8Array }} Repair */

const POLYNOMIAL = 0x11d;
const [POWERS, LOGARITHMS] = tables();

/**
 * Return the coefficient of a piece, 0 to 127, in a repair, 0 to 127.
 *
 * @param {number} draw
 * @param {number} piece
 */
export function coefficient(draw, piece) {
  return inverse(piece ^ (128 + draw));
}

/**
 * Return the pieces of the numbers `missing`, or null if `repairs` do not tell all of them.
 *
 * `pieces` are those known, by number.  All pieces of each window are known or missing, and all
 * bodies have the same size.
 *
 * @param {number[]} missing
 * @param {Repair[]} repairs
 * @param {Map<number, Uint8Array>} pieces
 * @returns {Map<number, Uint8Array> | null}
 */
export function solved(missing, repairs, pieces) {
  const rows = repairs.map((repair) => equation(missing, repair, pieces));
  for (let column = 0; column < missing.length; column++) {
    const pivot = rows.findIndex((row, place) => place >= column && row[column]);
    if (pivot < 0) return null;
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    const head = new Uint8Array(rows[column].length);
    add(head, rows[column], inverse(rows[column][column]));
    rows[column] = head;
    rows.forEach((row, place) => {
      if (place !== column && row[column]) add(row, head, row[column]);
    });
  }
  return new Map(missing.map((number, place) => [number, rows[place].slice(missing.length)]));
}

/**
 * Return an equation: the coefficients of the missing pieces, and what their sum is.
 *
 * @param {number[]} missing
 * @param {Repair} repair
 * @param {Map<number, Uint8Array>} pieces
 */
function equation(missing, { window, draw, body }, pieces) {
  const row = new Uint8Array(missing.length + body.length);
  missing.forEach((number, place) => {
    if (number < window) row[place] = coefficient(draw, number);
  });
  const rest = row.subarray(missing.length);
  rest.set(body);
  for (let number = 0; number < window; number++) {
    const piece = pieces.get(number);
    if (piece) add(rest, piece, coefficient(draw, number));
  }
  return row;
}

/**
 * Add `factor` times `row` to `sum`.
 *
 * @param {Uint8Array} sum
 * @param {Uint8Array} row
 * @param {number} factor
 */
function add(sum, row, factor) {
  const shift = LOGARITHMS[factor];
  for (let i = 0; i < row.length; i++) {
    if (row[i]) sum[i] ^= POWERS[LOGARITHMS[row[i]] + shift];
  }
}

/** @param {number} value */
function inverse(value) {
  return POWERS[255 - LOGARITHMS[value]];
}

/** Return the powers of x, twice over, and the logarithms to that base. */
function tables() {
  const [powers, logarithms] = [new Uint8Array(510), new Uint8Array(256)];
  for (let exponent = 0, value = 1; exponent < 255; exponent++) {
    powers[exponent] = powers[exponent + 255] = value;
    logarithms[value] = exponent;
    value = (value << 1) ^ (value & 0x80 ? POLYNOMIAL : 0);
  }
  return [powers, logarithms];
}
