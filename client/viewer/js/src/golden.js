/**
 * What the released models make of eta = 2 sin(i^2): every 97th value, from Python.
 *
 * Written by tests/vectors/javascript.py.
 *
 * @module
 */

/** @type {{ height: number, width: number, snr: number, every: number,
 *   values: Record<string, number[]> }} */
// prettier-ignore
export const GOLDEN = {"height": 16, "width": 16, "snr": 2, "every": 97, "values": {"42aff771": [-0.06747, 0.0183, -0.00828, -0.02207, 0.01281, -0.01904, -0.00214, -0.05842], "6c137b2c": [-0.09431, 0.05423, -0.13134, -0.01619, 0.06544, -0.01666, 0.05697, -0.21873], "733c846a": [-0.0916, -0.00064, -0.00313, -0.04099, 0.02667, -0.03576, 0.00629, -0.03581]}};
