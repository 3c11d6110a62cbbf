"""The inner loops of the trellis search, compiled by numba.  Only senders use it.

Importing this module needs numba.

A slice has to be correlated with all 4,096 rows r of the codebook, where dimension j of row r is
the parity of r and generator j, 12 bits.  All these correlations together are one Walsh-Hadamard
transform: of an array of 4,096 values in which each value of the slice is added at the place that
its generator names.  The four lowest stages of the transform are done while the array is filled,
sixteen values at once, so that every loop runs over neighbours in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.viterbi import MEMORY, REGISTERS, ROWS, Bits, Floats, Generators

Function = TypeVar("Function", bound=Callable[..., object])

_LOW = 16


def compiled(function: Function) -> Function:
    """Compile a function of arrays when it is first called.

    The machine code is cached beside this file, or else in numba's cache folder of the user.
    """
    fast: Function = numba.njit(nogil=True, cache=True)(function)
    return fast


class CompiledWalker:
    """Implements :class:`~diffc_stream.channel.viterbi.Walker`."""

    def __init__(self, shift: Floats, borders: NDArray[np.int64], generators: Generators) -> None:
        self._shift = np.ascontiguousarray(shift)
        self._borders = borders
        used = generators[: int(np.diff(borders).max())]
        self._places = _LOW * (used // _LOW).astype(np.int64)
        columns = np.arange(_LOW, dtype=np.uint16)
        odd = np.bitwise_count(used[:, None] % np.uint16(_LOW) & columns) & np.uint8(1)
        self._signs = (1 - 2 * odd.view(np.int8)).astype(np.float32)

    def walk(self, firsts: NDArray[np.int64], count: int, metrics: Floats) -> Bits:
        """Implement :meth:`~diffc_stream.channel.viterbi.Walker.walk`."""
        decisions = np.empty((len(firsts), count, REGISTERS // 8), np.uint8)
        for lane, first in enumerate(firsts):
            _walk(
                self._shift,
                self._borders,
                int(first),
                self._places,
                self._signs,
                metrics[lane],
                decisions[lane],
            )
        return decisions

    def trace(self, decisions: Bits, ends: NDArray[np.int64]) -> tuple[Bits, NDArray[np.int64]]:
        """Implement :meth:`~diffc_stream.channel.viterbi.Walker.trace`."""
        paths = np.empty(decisions.shape[:2], np.uint8)
        begun = np.empty(len(ends), np.int64)
        for lane, end in enumerate(ends):
            begun[lane] = _trace(decisions[lane], int(end), paths[lane])
        return paths, begun


@compiled
def _walk(
    shift: Floats,
    borders: NDArray[np.int64],
    first: int,
    places: NDArray[np.int64],
    signs: Floats,
    metric: Floats,
    decisions: Bits,
) -> None:
    slices = len(borders) - 1
    score = np.empty(ROWS, np.float32)
    current, following = metric.copy(), np.empty_like(metric)
    chosen = np.empty(REGISTERS, np.uint8)
    packed = chosen.view(np.uint64)
    for place in range(len(decisions)):
        index = (first + place) % slices
        _correlate(shift[borders[index] : borders[index + 1]], places, signs, score)
        _select(current, score, following, chosen)
        # Packs eight bytes of 0 or 1 into the bits of one byte, lowest first.
        for group in range(len(packed)):
            decisions[place, group] = (packed[group] * np.uint64(0x0102040810204080)) >> np.uint64(
                56
            )
        current, following = following, current
    metric[:] = current


@compiled
def _correlate(values: Floats, places: NDArray[np.int64], signs: Floats, score: Floats) -> None:
    score[:] = np.float32(0)
    for j in range(len(values)):
        value = values[j]
        group = score[places[j] : places[j] + _LOW]
        sign = signs[j]
        for low in range(_LOW):
            group[low] += value * sign[low]
    # Two stages at a time, for half as many passes over memory.
    step = _LOW
    while step < ROWS:
        for start in range(0, ROWS, 4 * step):
            a = score[start : start + step]
            b = score[start + step : start + 2 * step]
            c = score[start + 2 * step : start + 3 * step]
            d = score[start + 3 * step : start + 4 * step]
            for k in range(step):
                even, odd = a[k] + b[k], a[k] - b[k]
                later_even, later_odd = c[k] + d[k], c[k] - d[k]
                a[k], b[k] = even + later_even, odd + later_odd
                c[k], d[k] = even - later_even, odd - later_odd
        step *= 4


@compiled
def _select(current: Floats, score: Floats, following: Floats, chosen: Bits) -> None:
    for row in range(ROWS):
        zero, one, added = current[row], current[ROWS + row], score[row]
        stays, leaves = zero + added, one - added
        following[2 * row] = max(stays, leaves)
        chosen[2 * row] = leaves > stays
        stays, leaves = zero - added, one + added
        following[2 * row + 1] = max(stays, leaves)
        chosen[2 * row + 1] = leaves > stays


@compiled
def _trace(decisions: Bits, end: int, path: Bits) -> int:
    register = end
    for place in range(len(decisions) - 1, -1, -1):
        path[place] = register & 1
        oldest = decisions[place, register >> 3] >> (register & 7) & 1
        register = register >> 1 | int(oldest) << (MEMORY - 1)
    return register
