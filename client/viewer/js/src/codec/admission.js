/**
 * Which steps can come next, told before anything is allocated for them.
 *
 * @module
 */

import * as trellis from "../channel/trellis.js";
import { Kind, Simulator } from "../container/grammar.js";
import { detailDimensions } from "../diffusion/octaves.js";
import { CorruptStream, UnsupportedSimulator } from "../errors.js";

const NAMES = ["trellis", "pfr", "dither"];

/**
 * Throw unless `step` can come next in an octave.
 *
 * `refined` is over how many values a refinement runs, `finer` the size of the next finer octave,
 * if it may be opened.  Throws CorruptStream or UnsupportedSimulator.
 *
 * @param {import("../container/grammar.js").Step} step
 * @param {number} refined
 * @param {import("../diffusion/octaves.js").Size | undefined} finer
 * @param {number} offset
 */
export function admit(step, refined, finer, offset) {
  if (step.simulator !== Simulator.TRELLIS) throw new UnsupportedSimulator(NAMES[step.simulator]);
  if (step.kind === Kind.OPEN && !finer) {
    throw new CorruptStream("there is no finer octave to open", offset);
  }
  const opens = step.kind === Kind.OPEN && finer;
  const dims = opens ? detailDimensions(finer) : refined;
  if (!trellis.admits(dims, step.length)) {
    throw new CorruptStream(`a step of ${step.length} bytes over ${dims} values`, offset);
  }
}
