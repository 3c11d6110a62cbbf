/**
 * Octaves of a picture: means of 2x2 blocks, and the detail that takes one to the next finer.
 *
 * The signal is x = 2 (v / 127.5 - 1) for 8-bit values v, in [-2, 2], about unit variance, as
 * planes: a Float32Array of 3 height width values, channel after channel, row after row.  Octave 0
 * is the picture itself; octave r + 1 holds the means of octave r's 2x2 blocks, odd sides repeating
 * their last row or column, until the short side is at most 16.  The orthonormal Haar transform
 * maps a picture to its low band (twice the means) and three detail bands; being orthonormal, it
 * maps white noise to white noise.
 *
 * @module
 */

/**
 * A size in pixels.
 *
 * @typedef {{ height: number, width: number }} Size
 */

export const COARSEST_SIDE = 16;
export const CHANNELS = 3;
export const BANDS = 3;

/**
 * Return the size of every octave, octave 0 (the picture) first.
 *
 * @param {Size} picture
 */
export function sizes({ height, width }) {
  const result = [{ height, width }];
  for (let size = result[0]; Math.min(size.height, size.width) > COARSEST_SIDE;) {
    size = coarser(size);
    result.push(size);
  }
  return result;
}

/**
 * Return the size of the next coarser octave.
 *
 * @param {Size} size
 * @returns {Size}
 */
export function coarser({ height, width }) {
  return { height: (height + 1) >> 1, width: (width + 1) >> 1 };
}

/**
 * Return how many pixels there are.
 *
 * @param {Size} size
 */
export function area({ height, width }) {
  return height * width;
}

/**
 * Return the number of values of an octave of `size`.
 *
 * @param {Size} size
 */
export function dimensions(size) {
  return CHANNELS * area(size);
}

/**
 * Return the number of values in the three detail bands of an octave of `size`.
 *
 * @param {Size} size
 */
export function detailDimensions(size) {
  return BANDS * CHANNELS * area(coarser(size));
}

/**
 * Return the next coarser octave of `x`: the means of its 2x2 blocks.
 *
 * @param {Float32Array} x
 * @param {Size} size
 */
export function means(x, size) {
  const result = new Float32Array(dimensions(coarser(size)));
  blocks(size, (place, a, b, c, d) => {
    result[place] = (x[a] + x[b] + x[c] + x[d]) * 0.25;
  });
  return result;
}

/**
 * Return the detail bands of `x`, one after the other, each as planes of half the size.
 *
 * The bands are horizontal, vertical and diagonal differences, orthonormal.
 *
 * @param {Float32Array} x
 * @param {Size} size
 */
export function details(x, size) {
  const band = dimensions(coarser(size));
  const result = new Float32Array(BANDS * band);
  blocks(size, (place, a, b, c, d) => {
    result[place] = (x[a] - x[b] + x[c] - x[d]) * 0.5;
    result[place + band] = (x[a] + x[b] - x[c] - x[d]) * 0.5;
    result[place + 2 * band] = (x[a] - x[b] - x[c] + x[d]) * 0.5;
  });
  return result;
}

/**
 * Invert the Haar transform: from the low band (2 * means) and `bands` to planes of `size`.
 *
 * @param {Float32Array} low
 * @param {Float32Array} bands
 * @param {Size} size
 */
export function synthesis(low, bands, size) {
  const band = low.length;
  const result = new Float32Array(dimensions(size));
  blocks(size, (place, a, b, c, d) => {
    const [mean, horizontal] = [low[place], bands[place]];
    const [vertical, diagonal] = [bands[place + band], bands[place + 2 * band]];
    // Backwards: with odd sides the repeated corners are the same pixel, and the first one counts.
    result[d] = (mean - horizontal - vertical + diagonal) * 0.5;
    result[c] = (mean + horizontal - vertical - diagonal) * 0.5;
    result[b] = (mean - horizontal + vertical - diagonal) * 0.5;
    result[a] = (mean + horizontal + vertical + diagonal) * 0.5;
  });
  return result;
}

/**
 * Visit the 2x2 blocks of planes of `size`: the place of the block, and those of its corners.
 *
 * @param {Size} size
 * @param {(place: number, a: number, b: number, c: number, d: number) => void} visit
 */
function blocks(size, visit) {
  const { height, width } = size;
  const half = coarser(size);
  let place = 0;
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let row = 0; row < half.height; row++) {
      const upper = (channel * height + 2 * row) * width;
      const lower = 2 * row + 1 < height ? upper + width : upper;
      for (let column = 0; column < half.width; column++, place++) {
        const left = 2 * column;
        const right = left + 1 < width ? left + 1 : left;
        visit(place, upper + left, upper + right, lower + left, lower + right);
      }
    }
  }
}

/**
 * Enlarge an octave of size `from` to the next finer one of `size`, by cubic interpolation.
 *
 * Pixel centres are those of block means: the new pixels lie a quarter of an old pixel to
 * either side.  The kernel is Keys' cubic with a = -1/2; borders repeat.
 *
 * @param {Float32Array} x
 * @param {Size} from
 * @param {Size} size
 */
export function upsampled(x, from, size) {
  const { height, width } = from;
  const tall = new Float32Array(CHANNELS * size.height * width);
  const wide = new Float32Array(dimensions(size));
  for (let channel = 0; channel < CHANNELS; channel++) {
    const origin = channel * height * width;
    const middle = channel * size.height * width;
    for (let column = 0; column < width; column++) {
      doubled(x, origin + column, width, height, tall, middle + column, width, size.height);
    }
    for (let row = 0; row < size.height; row++) {
      const line = (channel * size.height + row) * size.width;
      doubled(tall, middle + row * width, 1, width, wide, line, 1, size.width);
    }
  }
  return wide;
}

// Keys' kernel at distances 1.25, 0.25, 0.75, 1.75; multiples of 2^-7, exact.
const [FAR, NEAR, NEXT, BEYOND] = [-9, 111, 29, -3].map((tap) => tap / 128);

/**
 * Double a line of `count` values, `stride` apart from `first` on, to the first `most` of twice as
 * many in `to`.
 *
 * @param {Float32Array} x
 * @param {number} first
 * @param {number} stride
 * @param {number} count
 * @param {Float32Array} to
 * @param {number} place
 * @param {number} step
 * @param {number} most
 */
function doubled(x, first, stride, count, to, place, step, most) {
  let [before2, before1, here] = [x[first], x[first], x[first]];
  let after1 = x[first + Math.min(1, count - 1) * stride];
  for (let i = 0; i < count; i++) {
    const after2 = x[first + Math.min(i + 2, count - 1) * stride];
    to[place] = FAR * after1 + NEAR * here + NEXT * before1 + BEYOND * before2;
    if (2 * i + 1 < most) {
      to[place + step] = FAR * before1 + NEAR * here + NEXT * after1 + BEYOND * after2;
    }
    place += 2 * step;
    [before2, before1, here, after1] = [before1, here, after1, after2];
  }
}

/**
 * Enlarge an octave step by step; `path` has the sizes on the way, finest first, its own last.
 *
 * @param {Float32Array} x
 * @param {Size[]} path
 */
export function enlarged(x, path) {
  for (let i = path.length - 1; i > 0; i--) x = upsampled(x, path[i], path[i - 1]);
  return x;
}

/**
 * Return the 8-bit picture nearest to the signal `x`: RGBA, row after row, opaque.
 *
 * @param {Float32Array} x
 * @param {Size} size
 */
export function pixels(x, size) {
  const plane = area(size);
  const result = new Uint8ClampedArray(4 * plane);
  for (let i = 0; i < plane; i++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      // Rounded as in single precision and to even, as Uint8ClampedArray does.
      result[4 * i + channel] = Math.fround(Math.fround(x[channel * plane + i] + 2) * 63.75);
    }
    result[4 * i + 3] = 255;
  }
  return result;
}
