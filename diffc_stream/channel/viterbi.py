"""The sender's search for the best path through the trellis: the Viterbi algorithm.

A path of n bits is a cycle, so it has to end in the state that it began in.  A long path is cut
into segments.  The state at each border is found first, from the slices on both sides of it, and
fixed.  After that the segments are independent, and the Viterbi algorithm finds the best path
through each.  For a short path, several states are tried, the most promising first: those in which
the best paths without that condition end.

The algorithm carries a metric forward for every state by add, compare, select.  For each bit that
takes 4,096 correlations of a slice with the codebook's rows, by a Walsh-Hadamard transform or a
matrix product, and 8,192 decisions.  numba compiles this if it is installed
(:mod:`diffc_stream.channel.compiled`).  Otherwise NumPy does it ten to twenty times slower, with
the same result except for rounding.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream import work

Floats = NDArray[np.float32]
Bits = NDArray[np.uint8]
Generators = NDArray[np.uint16]

SEARCHING = "searching"
"""What this part of the work is called in reports of progress."""

ROW_BITS = 12
ROWS = 1 << ROW_BITS
MEMORY = ROW_BITS + 1
"""Bits that two neighbouring windows share."""
REGISTERS = 1 << MEMORY
"""Values of these bits: the states between two slices."""
_LOOK = 160
"""Slices before and after a border that are searched to find the state at it."""
_SEGMENT = 2048
_SHARE_OF_BORDERS = 2 * _LOOK / (2 * _LOOK + _SEGMENT)
_LANES = 8
_SHORT = 512
_TRIED = 2048
"""Bits to walk in search of a short path's state; divided by its length, the states to try."""
_EXHAUSTED = 16
_UNREACHABLE = np.float32(-1e30)


class Walker(Protocol):
    """Carries metrics through the slices of a shift, in several independent lanes at once."""

    def __init__(
        self, shift: Floats, borders: NDArray[np.int64], generators: Generators
    ) -> None: ...

    def walk(self, firsts: NDArray[np.int64], count: int, metrics: Floats) -> Bits:
        """Carry ``metrics``, (lanes, REGISTERS), through ``count`` slices, in place.

        Lane b starts at slice ``firsts``[b]; the first slice follows the last.  Returns the
        decisions, (lanes, count, REGISTERS / 8): for each register that a slice leads to, the bit
        that was shifted out, lowest bit first.
        """
        ...

    def trace(self, decisions: Bits, ends: NDArray[np.int64]) -> tuple[Bits, NDArray[np.int64]]:
        """Return the bits (lanes, count) that led to registers ``ends``, and where they began."""
        ...


def edges(count: int, dims: int) -> NDArray[np.int64]:
    """Return the borders of slices: slice i has the dimensions edges[i] to edges[i + 1]."""
    return np.arange(count + 1, dtype=np.int64) * dims // count


def search(shift: Floats, count: int, generators: Generators, *, compiled: bool = True) -> Bits:
    """Return the ``count`` bits, a multiple of 8, whose codeword correlates most with ``shift``.

    ``shift`` has shape (D,) and values of at most 1; ``generators`` are those of the code, see
    :func:`diffc_stream.channel.trellis.generators`.  With ``compiled`` false, numba is not used.
    """
    if count <= _EXHAUSTED:
        return _exhausted(shift, count, generators)
    walker = _walker(shift, edges(count, len(shift)), generators, compiled)
    if count <= _SHORT:
        return _short(walker, count)
    return _long(walker, count)


def prepare() -> None:
    """Compile the search now, which takes some seconds the first time on a machine.

    Without this call, the first search does it.
    """
    shift = np.linspace(-1, 1, 48, dtype=np.float32)
    search(shift, 24, np.arange(1, 49, dtype=np.uint16))


def _walker(
    shift: Floats, borders: NDArray[np.int64], generators: Generators, compiled: bool
) -> Walker:
    engine = _compiled() if compiled else None
    return (engine or NumpyWalker)(shift, borders, generators)


@cache
def _compiled() -> type[Walker] | None:
    try:
        from diffc_stream.channel.compiled import CompiledWalker
    except ImportError:
        return None
    return CompiledWalker


def _exhausted(shift: Floats, count: int, generators: Generators) -> Bits:
    """Try every path, because there are few."""
    scores = NumpyWalker(shift, edges(count, len(shift)), generators).scores(np.arange(count))
    paths = np.arange(2**count)
    bits = (paths[:, None] >> np.arange(count - 1, -1, -1) & 1).astype(np.uint8)
    metric = np.zeros(len(paths), np.float32)
    for place in range(count):
        window = np.zeros(len(paths), np.int64)
        for bit in range(MEMORY + 1):
            window = window << 1 | bits[:, (place + bit) % count]
        sign = np.where(window >> MEMORY == window & 1, np.float32(1), np.float32(-1))
        metric += sign * scores[place, window >> 1 & (ROWS - 1)]
    best: Bits = bits[int(metric.argmax())]
    return best


def _short(walker: Walker, count: int) -> Bits:
    """Try the most promising states as the state in which the path begins and ends."""
    metrics = np.zeros((1, REGISTERS), np.float32)
    origin = np.zeros(1, np.int64)
    walker.walk(origin, count, metrics)
    promising = np.argsort(-metrics[0])[: max(2, _TRIED // count)]
    # The first lap began in every state at once; a second one settles what that left open.
    decisions = walker.walk(origin, count, metrics)
    end = metrics.argmax(axis=1)
    settled = np.stack([end, walker.trace(decisions, end)[1]]).reshape(-1)
    tried = np.unique(np.concatenate([settled, promising]))
    best, bits = -np.inf, np.zeros(count, np.uint8)
    for first in range(0, len(tried), _LANES):
        states = tried[first : first + _LANES]
        metrics = _starting(states)
        decisions = walker.walk(np.zeros(len(states), np.int64), count, metrics)
        reached = metrics[np.arange(len(states)), states]
        lane = int(reached.argmax())
        if reached[lane] > best:
            best = float(reached[lane])
            path = walker.trace(decisions[lane : lane + 1], states[lane : lane + 1])[0][0]
            bits = np.roll(path, MEMORY)
    return bits


def _long(walker: Walker, count: int) -> Bits:
    """Fix the states at the borders of segments, then find the best path through each segment."""
    segments = max(1, round(count / _SEGMENT))
    borders = np.arange(segments + 1, dtype=np.int64) * count // segments
    states = np.empty(segments + 1, np.int64)
    for first in range(0, segments, _LANES):
        lanes = borders[first : min(first + _LANES, segments)]
        metrics = np.zeros((len(lanes), REGISTERS), np.float32)
        walker.walk((lanes - _LOOK) % count, _LOOK, metrics)
        decisions = walker.walk(lanes, _LOOK, metrics)
        states[first : first + len(lanes)] = walker.trace(decisions, metrics.argmax(axis=1))[1]
        work.tell(SEARCHING, _SHARE_OF_BORDERS * first / segments)
    states[segments] = states[0]
    bits = np.empty(count, np.uint8)
    lengths = np.diff(borders)
    done = 0
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for first in range(0, len(alike), _LANES):
            lanes = alike[first : first + _LANES]
            metrics = _starting(states[lanes])
            decisions = walker.walk(borders[lanes], int(length), metrics)
            paths, _ = walker.trace(decisions, states[lanes + 1])
            for lane, path in zip(lanes, paths, strict=True):
                bits[borders[lane] : borders[lane + 1]] = path
            done += len(lanes)
            work.tell(SEARCHING, _SHARE_OF_BORDERS + (1 - _SHARE_OF_BORDERS) * done / segments)
    return np.roll(bits, MEMORY)


def _starting(states: NDArray[np.int64]) -> Floats:
    metrics = np.full((len(states), REGISTERS), _UNREACHABLE)
    metrics[np.arange(len(states)), states] = 0.0
    return metrics


class NumpyWalker:
    """The reference implementation of :class:`Walker`."""

    def __init__(self, shift: Floats, borders: NDArray[np.int64], generators: Generators) -> None:
        lengths = np.diff(borders)
        self._widest = int(lengths.max())
        self._slices = np.zeros((len(lengths), self._widest), np.float32)
        self._slices[np.arange(self._widest) < lengths[:, None]] = shift
        self._generators = generators

    def scores(self, slices: NDArray[np.int64]) -> Floats:
        """Return the correlation of ``slices`` with every row, (slices, ROWS)."""
        found: Floats = self._slices[slices] @ _signs(self._generators[: self._widest].tobytes())
        return found

    def walk(self, firsts: NDArray[np.int64], count: int, metrics: Floats) -> Bits:
        """Implement :meth:`Walker.walk`."""
        lanes = len(firsts)
        halves = metrics.reshape(lanes, 2, ROWS)
        plus, minus = np.empty_like(halves), np.empty_like(halves)
        from_one = np.empty((lanes, REGISTERS), np.bool_)
        decisions = np.empty((lanes, count, REGISTERS // 8), np.uint8)
        for place in range(count):
            score = self.scores((firsts + place) % len(self._slices))[:, None, :]
            np.add(halves, score, out=plus)
            np.subtract(halves, score, out=minus)
            # The first axis is the bit that leaves, 0 or 1; even and odd places are the bit that
            # enters, 0 or 1.  Rows are added where the two bits are equal, else subtracted.
            np.greater(minus[:, 1], plus[:, 0], out=from_one[:, 0::2])
            np.greater(plus[:, 1], minus[:, 0], out=from_one[:, 1::2])
            np.maximum(minus[:, 1], plus[:, 0], out=metrics[:, 0::2])
            np.maximum(plus[:, 1], minus[:, 0], out=metrics[:, 1::2])
            decisions[:, place] = np.packbits(from_one, axis=1, bitorder="little")
        return decisions

    def trace(self, decisions: Bits, ends: NDArray[np.int64]) -> tuple[Bits, NDArray[np.int64]]:
        """Implement :meth:`Walker.trace`."""
        lanes, count, _ = decisions.shape
        paths = np.empty((lanes, count), np.uint8)
        lane = np.arange(lanes)
        register = ends.astype(np.int64)
        for place in range(count - 1, -1, -1):
            paths[:, place] = register & 1
            oldest = decisions[lane, place, register >> 3] >> (register & 7) & 1
            register = register >> 1 | oldest.astype(np.int64) << (MEMORY - 1)
        return paths, register


@lru_cache(maxsize=4)
def _signs(generators: bytes) -> Floats:
    """Return the codebook for slices of the generators' width: +1 or -1, (dimensions, ROWS)."""
    columns = np.frombuffer(generators, np.uint16)[:, None]
    odd = np.bitwise_count(columns & np.arange(ROWS, dtype=np.uint16)) & np.uint8(1)
    signs: Floats = (1 - 2 * odd.view(np.int8)).astype(np.float32)
    return signs
