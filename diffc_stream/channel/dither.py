"""Dithered (universal) quantisation: exact samples, but with uniform instead of Gaussian noise.

The sender adds shared noise to the shift and rounds; then both ends subtract the shared noise
(Ziv, "On universal quantization", 1985; as a diffusion step: UQDM, arXiv 2412.10935).  The noise
that remains on the shift is uniform of width sqrt(12), hence of unit variance, and independent of
the shift.  The method is exact and takes time O(D).  Its drawback: uniform noise takes more bits
than Gaussian noise of the same variance, up to 0.255 more per dimension.  Where a dimension is
worth little, that is several times as many (decision 0014), so this simulator is for steps of a bit
or more per dimension.

In units of the noise's grid, sqrt(12) / 2^16, everything is an integer or half of one:

    S = round(shift)          k = floor((S + U) / 2^16), U of 16 random bits
    sample = 2^16 k - U + (2^16 - 1) / 2          noise = sample - S

For every S, the 2^16 values of U give each of the 2^16 values of the noise once, so the noise is
exactly uniform, as a statement about integers.  Only the conversion to float32 comes after that.

The receiver expects Gaussian shifts with the mean square that the payload states.  Accordingly, a
range coder (an entropy coder, here from the package constriction) codes each k, given U, by the
probability of the shifts that lead to it.  These probabilities come from integer tables, so that no
floating-point result decides how bits are parsed; the tables' entries lie far enough from rounding
boundaries that the last bit of a platform's arithmetic cannot change them.

    payload      code of the mean square (2 bytes, big-endian), then the range coder's bytes
    block        1,024 symbols, each a k near 0 or "escape", then 16 bits for every escape

A prefix of the payload leaves an interval of numbers possible.  The symbols on which both ends of
that interval agree are determined by the prefix; they give the first part of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import floor, frexp, ldexp, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.randomness import Purpose, words
from diffc_stream.channel.range_coder import constriction_stream
from diffc_stream.channel.simulator import (
    Address,
    Floats,
    Sample,
    Simulation,
    check_length,
    check_shift,
)
from diffc_stream.errors import SimulationError

Integers = NDArray[np.int64]

STEP = sqrt(12.0)
"""Width of the noise, in units of its standard deviation."""
GRID = 2**16
"""How many values the noise can take."""
LARGEST = 65536.0
"""Largest absolute value that a shift may contain."""
TABLES = 192
"""Number of tables: eight per doubling of the mean square, from 2^-8 to 2^16.  The outermost two
also serve values beyond."""

_HEADER = 2
_BLOCK = 1024
_PARTS = 1024
_FIRST_OCTAVE = -31
_FIRST_TABLE = 8 * (-8 - _FIRST_OCTAVE)

_TOTAL = 2**24
_REACH = 6.0
_MOST_LEVELS = 256
# Levels times the spread of k.  Beyond 16, finer levels would gain only 0.0002 bits a dimension.
_FINENESS = 16.0

_ESCAPE = 0
_ESCAPED = 2**16
# An escape takes 24 and 16 bits, and the range coder's rounding adds a little.
_MOST_BYTES = 6
_ROOM = 16


class DitheredQuantization:
    """The simulator whose noise is uniform; see the module's documentation.

    Shifts may have values up to ``LARGEST``.  A payload takes as many bytes as the shift costs: at
    most 6 per dimension and a few more.  Coding needs the package constriction, and raises
    MissingPackage without it.
    """

    def admits(self, dims: int, length: int) -> bool:
        """Return whether there is room for the payload's header; a shift of zeros needs no more."""
        return dims >= 1 and length >= _HEADER

    def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
        """Transmit the shift plus uniform noise in as many bytes as it takes, at most ``length``.

        See :class:`~diffc_stream.channel.simulator.Simulator`.  Raises SimulationError also for a
        value beyond ``LARGEST``, and MissingPackage without constriction.
        """
        check_shift(shift)
        check_length(self, len(shift), length)
        if np.abs(shift).max() > LARGEST:
            raise SimulationError(f"a shift with values beyond {LARGEST:.0f} cannot be simulated")
        exact = shift.astype(np.float64)
        rounded = np.rint(exact * (GRID / STEP)).astype(np.int64)
        dither = dither_of(address, len(shift))
        quantised = (rounded + dither) // GRID
        code = code_of(float(np.mean(exact * exact))) if rounded.any() else 0
        body = _encode(quantised, _Table.of(code), dither) if code else b""
        payload = code.to_bytes(_HEADER, "big") + body
        if len(payload) > length:
            raise SimulationError(
                f"a shift of {len(shift)} values takes {len(payload)} bytes dithered, "
                f"which is more than {length}"
            )
        return Simulation(payload, _sample(quantised, dither, energy_of(code)), 1.0)

    def reproduce(self, payload: bytes, dims: int, length: int, address: Address) -> Sample:
        """Rebuild the sample, or its first part, from any prefix of the payload.

        See :class:`~diffc_stream.channel.simulator.Simulator`.  Raises MissingPackage without
        constriction.  Takes time and memory in proportion to ``dims``, whatever the bytes.  Garbage
        may contain a number that stands for nothing: the sample ends there.
        """
        check_length(self, dims, length)
        if len(payload) < _HEADER:
            return Sample(np.zeros(dims, np.float32), 0, 0.0)
        code = int.from_bytes(payload[:_HEADER], "big")
        dither = dither_of(address, dims)
        if code == 0:
            quantised = np.zeros(dims, np.int64)
        else:
            # Ignore bytes beyond what the symbols can possibly need.
            whole = min(length - _HEADER, _MOST_BYTES * dims + _ROOM)
            body = payload[_HEADER:][:whole]
            quantised = _decode(body, whole - len(body), _Table.of(code), dither)
        return _sample(quantised, dither, energy_of(code))


def dither_of(address: Address, dims: int) -> Integers:
    """Return U, shape (``dims``,), 0 to 2^16 - 1: two per word, the lower half first."""
    drawn = words(address.seed, Purpose.DITHER, address.step, -(-dims // 2))
    return drawn.astype("<u4").view("<u2")[:dims].astype(np.int64)


def code_of(energy: float) -> int:
    """Return the code, 1 to 2^16 - 1, whose :func:`energy_of` is nearest, to 0.05 %."""
    mantissa, exponent = frexp(energy)
    octave = exponent - 1 - _FIRST_OCTAVE
    return max(1, 1 + octave * _PARTS + round((2.0 * mantissa - 1.0) * _PARTS))


def energy_of(code: int) -> float:
    """Return the mean square of a code: 0, or 2^-31 and up in 1,024 steps per doubling."""
    if code == 0:
        return 0.0
    octave, part = divmod(code - 1, _PARTS)
    return ldexp(1.0 + part / _PARTS, octave + _FIRST_OCTAVE)


def spread_of(table: int) -> float:
    """Return the standard deviation, in steps, of the shifts that a table is for."""
    octave, eighth = divmod(table + _FIRST_TABLE, 8)
    return sqrt(ldexp(1.0 + (2 * eighth + 1) / 16, octave + _FIRST_OCTAVE) / 12.0)


def boundaries(table: int) -> NDArray[np.float64]:
    """Return a table's cumulative frequencies before rounding, shape (levels, 2K + 2).

    U is divided into as many equal ranges as there are levels.  Row l is for the l-th range, taken
    at its middle u (in steps).  Column i holds the probability of shifts below -K + i - u, scaled
    to the frequency that is left of 2^24 once every symbol has 1.
    """
    spread = spread_of(table)
    levels = 1
    while levels < _MOST_LEVELS and levels * spread < _FINENESS:
        levels *= 2
    widest = floor(_REACH * spread) + 1
    prior = NormalDist(0.0, spread)
    free = _TOTAL - (2 * widest + 2)
    return np.array(
        [
            [free * prior.cdf(edge - (level + 0.5) / levels) for edge in range(-widest, widest + 2)]
            for level in range(levels)
        ]
    )


def frequencies(table: int) -> Integers:
    """Return a table of frequencies, shape (levels, 2K + 2): at least 1 each, 2^24 in each row.

    Column 0 is the escape, for both tails; the others are k = -K to K.
    """
    masses = np.diff(np.rint(boundaries(table)).astype(np.int64), axis=1) + 1
    return np.concatenate([_TOTAL - masses.sum(axis=1, keepdims=True), masses], axis=1)


@dataclass(frozen=True, slots=True)
class _Table:
    """One table in the form that the range coder takes."""

    weights: NDArray[np.float64]
    """Frequencies less 1, shape (levels, 2K + 2).

    constriction gives every symbol a frequency of 1 and divides the rest of 2^24 in proportion to
    the weights.  Weights that add up to that rest are therefore used exactly as they are: they are
    integers, and multiplied by 1.
    """
    widest: int
    """K: larger values of |k| are escaped."""
    model: Any
    """The model, if there is only one level, or else the family of all models."""

    @staticmethod
    def of(code: int) -> _Table:
        """Return the table for a code of the mean square, not 0."""
        index = (code - 1) // (_PARTS // 8) - _FIRST_TABLE
        return _table(min(max(index, 0), TABLES - 1))

    def rows(self, dither: Integers) -> tuple[NDArray[np.float64], ...]:
        """Return the model's parameters for each symbol: none, or an array (N, 2K + 2)."""
        if len(self.weights) == 1:
            return ()
        return (self.weights[dither * len(self.weights) // GRID],)


@lru_cache(maxsize=32)
def _table(index: int) -> _Table:
    weights = (frequencies(index) - 1).astype(np.float64)
    weights.flags.writeable = False
    categorical = constriction_stream().model.Categorical
    single = len(weights) == 1
    model = categorical(weights[0], perfect=False) if single else categorical(perfect=False)
    return _Table(weights, weights.shape[1] // 2 - 1, model)


def _encode(quantised: Integers, table: _Table, dither: Integers) -> bytes:
    stream = constriction_stream()
    coder, uniform = stream.queue.RangeEncoder(), stream.model.Uniform(_ESCAPED)
    for first in range(0, len(quantised), _BLOCK):
        part = quantised[first : first + _BLOCK]
        escaped = np.abs(part) > table.widest
        symbols = np.where(escaped, _ESCAPE, part + (table.widest + 1)).astype(np.int32)
        coder.encode(symbols, table.model, *table.rows(dither[first : first + _BLOCK]))
        if escaped.any():
            coder.encode((part[escaped] + _ESCAPED // 2).astype(np.int32), uniform)
    return _shortest(coder)


def _shortest(coder: Any) -> bytes:
    """Return the fewest bytes that lie in the coder's interval if zeros follow them.

    constriction itself ends streams at whole words, and so that anything may follow.
    """
    position, (lower, width) = coder.pos()
    # ``lower`` and ``width`` are in units of the last bit of the two words after ``position``
    # words.
    bits = 32 * position + 64
    sealed: bytes = coder.get_compressed().astype(">u4").tobytes()
    inside = int.from_bytes(sealed, "big") << (bits - 8 * len(sealed))
    # The interval is given modulo 2^64; that it contains the sealed number says which one it is.
    start = inside - (inside - lower) % 2**64
    for count in range(4 * position, 4 * position + 9):
        unknown = bits - 8 * count
        number = -(-start >> unknown) << unknown
        if number < start + width:
            break
    shortest: bytes = number.to_bytes(bits // 8, "big")[:count]
    return shortest.rstrip(b"\0")


def _decode(body: bytes, missing: int, table: _Table, dither: Integers) -> Integers:
    """Return the values of k that a body determines if ``missing`` more bytes are unknown.

    A range coder's intervals are in the order of their symbols.  So symbols that are the same for
    the smallest and for the largest possible number are the same for all numbers in between.
    """
    smallest = _blocks(body, table, dither)
    largest = _blocks(body + b"\xff" * missing, table, dither) if missing else None
    known: list[Integers] = []
    for low in smallest:
        high = next(largest) if largest else low
        size = min(_BLOCK, len(dither) - _BLOCK * len(known))
        count = _agreement(low, high, size)
        quantised = low.symbols[:count].astype(np.int64) - (table.widest + 1)
        escaped = low.symbols[:count] == _ESCAPE
        quantised[escaped] = low.escapes[: escaped.sum()].astype(np.int64) - _ESCAPED // 2
        known.append(quantised)
        if count < size:
            break
    return np.concatenate(known)


@dataclass(frozen=True, slots=True)
class _Block:
    symbols: NDArray[np.int32]
    escapes: NDArray[np.int32]


def _agreement(one: _Block, other: _Block, size: int) -> int:
    """Return how many of a block's ``size`` values are the same in both, from the first on."""
    same = _common(one.symbols, other.symbols)
    escapes = np.nonzero(one.symbols[:same] == _ESCAPE)[0]
    # Escaped values come after all symbols: after a difference they mean something else.
    settled = _common(one.escapes, other.escapes) if same == size else 0
    return int(escapes[settled]) if settled < len(escapes) else same


def _common(one: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    length = min(len(one), len(other))
    differs = np.nonzero(one[:length] != other[:length])[0]
    return int(differs[0]) if len(differs) else length


def _blocks(body: bytes, table: _Table, dither: Integers) -> Iterator[_Block]:
    """Decode a body block by block, as if zeros followed it.

    The first block that ends early, at a number that stands for no symbol, is the last.
    """
    numbers = np.frombuffer(body + bytes(-len(body) % 4), ">u4").astype(np.uint32)
    open_coder = constriction_stream().queue.RangeDecoder
    coder = open_coder(numbers)
    for first in range(0, len(dither), _BLOCK):
        try:
            yield _block(coder, table, dither[first : first + _BLOCK])
        except AssertionError:  # what constriction raises for such a number
            break
    else:
        return
    # The coder has lost the symbols before the failure: decode again, this block one by one.
    coder = open_coder(numbers)
    for before in range(0, first, _BLOCK):
        _block(coder, table, dither[before : before + _BLOCK])
    symbols: list[int] = []
    try:
        for place in range(first, min(first + _BLOCK, len(dither))):
            rows = table.rows(dither[place : place + 1])
            symbols.append(int(coder.decode(table.model, *(rows or (1,)))[0]))
    except AssertionError:
        pass
    yield _Block(np.array(symbols, np.int32), np.zeros(0, np.int32))


def _block(coder: Any, table: _Table, dither: Integers) -> _Block:
    symbols = coder.decode(table.model, *(table.rows(dither) or (len(dither),)))
    escapes = np.count_nonzero(symbols == _ESCAPE)
    uniform = constriction_stream().model.Uniform(_ESCAPED)
    drawn = coder.decode(uniform, escapes) if escapes else np.zeros(0, np.int32)
    return _Block(symbols, drawn)


def _sample(quantised: Integers, dither: Integers, energy: float) -> Sample:
    """Return the sample for the first values of k, with zeros for the others."""
    there = len(quantised)
    doubled = 2 * (GRID * quantised - dither[:there]) + (GRID - 1)
    values = np.zeros(len(dither), np.float32)
    values[:there] = doubled * (STEP / (2 * GRID))
    return Sample(values, there, energy)
