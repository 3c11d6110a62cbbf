"""Trellis-coded reverse channel coding: a sample that leans towards the shift, from few bits.

Of 2^n codewords that both ends know, the sender finds the y with the largest correlation <y, shift>
and sends its n bits, from which the receiver rebuilds y.  To the receiver, y looks like a draw from
its prior; to the sender, like one from a posterior that leans towards the shift.  It is not an
exact sample: it leans as far as n bits allow.  What that does to the observation has been measured.

The codewords are the paths of a tail-biting bit-shift trellis: the D dimensions are cut into n
slices, and the values of slice i depend on a window of 14 bits, i to i + 13, where the first bits
follow the last (the tail bites).  So every bit affects 14 slices, none is wasted at the start or
the end, and any prefix of the bits gives the first part of y.

    window       h r r r r r r r r r r r r l     bit i is h, bit i + 13 is l
    dimension j  +1 or -1: the parity of r and generator[j], of h and of l
    of a slice

In other words: a binary convolutional code of low rate with random generators.  Each row r also
occurs with its sign flipped (when h differs from l), so that paths are as far apart as possible
where they part and where they meet; that is why so few states are enough.  Codewords of signs lose
next to nothing against Gaussian ones at the rates of a step, below a quarter of a bit per
dimension: 0.5 % at a quarter, 0.07 % at an eighth (docs/decisions/0015).  In return there is no
codebook to store, slices may have any width, and one Walsh-Hadamard transform correlates a slice
with all rows (:mod:`diffc_stream.channel.viterbi`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import viterbi
from diffc_stream.channel.randomness import Purpose, words
from diffc_stream.channel.simulator import (
    Address,
    Floats,
    Sample,
    Simulation,
    check_length,
    check_shift,
)

STATE_BITS = viterbi.MEMORY + 1
"""Bits of the window that determines a slice."""
WIDEST_SLICE = 4096
"""A slice has at most this many dimensions."""
_PIECE = 2**18
_SUMMED = 2**22
"""Values that are summed in double precision at a time, to save memory."""


class Trellis:
    """The default simulator; implements :class:`~diffc_stream.channel.simulator.Simulator`.

    A payload fills its length exactly, whatever the scale of the shift; the gain is the result.
    """

    def admits(self, dims: int, length: int) -> bool:
        """Return whether ``length`` bytes may carry a sample of ``dims`` values.

        No slice may be wider than WIDEST_SLICE, and at most seven bits may be without a slice.
        """
        return fewest_bits(dims) <= 8 * length <= max(8, dims + 7)

    def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
        """Find the codeword that leans most towards ``shift``."""
        check_shift(shift)
        check_length(self, shift.size, length)
        largest = float(max(shift.max(), -shift.min()))
        if largest:
            # The scale makes no difference to the search; this one keeps squares within float32.
            bits = viterbi.search(shift / np.float32(largest), 8 * length, generators())
            payload = np.packbits(bits).tobytes()
        else:
            noise = words(address.seed, Purpose.ARRIVALS, address.step, -(-length // 4))
            payload = noise.astype("<u4").tobytes()[:length]
        sample = self.reproduce(payload, shift.size, length, address)
        gain = max(0.0, _lean(sample.values, shift, largest) / largest) if largest else 1.0
        return Simulation(payload=payload, sample=sample, gain=gain)

    def reproduce(
        self,
        payload: bytes,
        dims: int,
        length: int,
        address: Address,
        lost: Sequence[tuple[int, int]] = (),
    ) -> Sample:
        """Rebuild y from any prefix of its payload, scaled so that its noise has unit variance.

        ``lost`` are the bytes of that prefix that are not known, each (first, end): slices that
        depend on them are zeros.
        """
        check_length(self, dims, length)
        del address  # All steps share a codebook, because each has its own rotation.
        count = 8 * length
        bits = np.unpackbits(np.frombuffer(payload[:length], np.uint8))
        # The windows of the last slices end with the first bits: they need all bits to be there.
        slices = count if len(bits) == count else max(0, len(bits) - (viterbi.MEMORY))
        window = np.zeros(slices, np.uint16)
        cycle = np.resize(bits, slices + viterbi.MEMORY) if slices else bits
        for place in range(STATE_BITS):
            window |= cycle[place : place + slices].astype(np.uint16) << (viterbi.MEMORY - place)
        edges = viterbi.edges(count, dims)
        lengths = np.diff(edges)[:slices]
        there = int(edges[slices])
        cosine = cosine_squared(count, dims)
        # A share r^2 of the energy of a codeword with cosine r to the shift is signal.  Scaled by c
        # with c^2 = 1 / (1 - r^2), the rest is noise of unit variance.
        scale = np.float32((1.0 - cosine) ** -0.5)
        values = np.zeros(dims, np.float32)
        # As many slices at a time as fit a core's cache.
        some = max(1, _PIECE // max(1, int(lengths.max(initial=0))))
        for first in range(0, slices, some):
            widths = lengths[first : first + some]
            minus = _parities(window[first : first + some], int(widths.max()))
            filled = minus if widths.min() == widths.max() else minus[_within(widths)]
            piece = values[edges[first] : edges[first + len(widths)]]
            np.subtract(scale, 2 * scale * filled.reshape(-1), out=piece)
        for first, last in _runs(lost, slices, count):
            values[edges[first] : edges[last]] = 0
            there -= int(edges[last] - edges[first])
        return Sample(values=values, there=there, energy=cosine / (1.0 - cosine))


def fewest_bits(dims: int) -> int:
    """Return the fewest bits (a multiple of 8) that a step over ``dims`` dimensions may have."""
    slices = -(-dims // WIDEST_SLICE)
    return max(8, -(-slices // 8) * 8)


def cosine_squared(bits: int, dims: int) -> float:
    """Return the expected squared cosine between y and a shift, for ``bits`` over ``dims`` values.

    An ideal code reaches 1 - 2^(-2 bits / dims).  Both ends derive the scale of a sample from this
    function, so it is part of the format.
    """
    rate = min(bits, dims) / dims
    return float(1.0 - 2.0 ** (-2.0 * rate / excess(bits, dims)))


def excess(bits: int, dims: int) -> float:
    """Return the factor by which this code needs more bits than an ideal one for the same cosine.

    It was measured on Gaussian shifts (docs/decisions/0015) and has three terms: a constant, the
    cost of making the tail meet the head when there are few bits, and the loss of signs against
    Gaussian codewords at high rates.
    """
    rate = min(bits, dims) / dims
    return 1.053 + min(160.0 / bits**2, 0.25) + 0.3 * rate**4


@cache
def generators() -> NDArray[np.uint16]:
    """Return the generators, 12 bits for each dimension of a slice, shape (WIDEST_SLICE,)."""
    drawn = words(0, Purpose.CODEBOOK, 0, WIDEST_SLICE) >> np.uint32(32 - viterbi.ROW_BITS)
    table = drawn.astype(np.uint16)
    table.flags.writeable = False
    return table


def _parities(window: NDArray[np.uint16], widest: int) -> NDArray[np.uint8]:
    """Return 1 for each value of the slices' y that is negative, shape (slices, ``widest``)."""
    rows = window >> np.uint16(1) & np.uint16(viterbi.ROWS - 1)
    flips = (window >> np.uint16(viterbi.MEMORY) ^ window) & np.uint16(1)
    parities: NDArray[np.uint8] = np.bitwise_count(rows[:, None] & generators()[:widest])
    parities += flips.astype(np.uint8)[:, None]
    parities &= np.uint8(1)
    return parities


def _lean(values: Floats, shift: Floats, largest: float) -> float:
    """Return <values, unit> / <unit, unit> for unit = shift / ``largest``."""
    lean = energy = 0.0
    for first in range(0, shift.size, _SUMMED):
        unit = shift[first : first + _SUMMED].astype(np.float64) / largest
        lean += float(np.dot(values[first : first + _SUMMED], unit))
        energy += float(np.dot(unit, unit))
    return lean / energy


def _runs(lost: Sequence[tuple[int, int]], slices: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of slices, (first, end), whose windows contain bits of ``lost`` bytes."""
    unknown = np.zeros(slices, np.bool_)
    for first, end in lost:
        start = 8 * first - viterbi.MEMORY
        unknown[max(0, start) : 8 * end] = True
        if start < 0:  # the windows of the last slices end with the first bits
            unknown[count + start : count + 8 * end] = True
    edges = np.flatnonzero(np.diff(unknown, prepend=False, append=False))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _within(lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.arange(int(lengths.max())) < lengths[:, None]
