/** Random numbers that are the same in every run. */

/**
 * Return a function that returns integers from 0 to below its argument (xorshift).
 *
 * @param {number} seed not 0
 * @returns {(below: number) => number}
 */
export function numbers(seed) {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
