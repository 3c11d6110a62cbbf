"""The Poisson functional representation: exact samples of N(shift, I) where that is affordable.

Both ends can draw the same endless list of candidates s_1, s_2, ... from the prior p.  The sender,
which also knows the posterior q, sends the number of one of them (Li and El Gamal, "Strong
functional representation lemma and applications to coding theorems", 2018):

    argmin_i  T_i / w(s_i)        T_i = E_1 + ... + E_i, E exponential of mean 1;  w = q / p

The candidate chosen is exactly a sample of q, and its number takes about C + log2(C + 1) + 5 bits
or fewer, where C is the information in bits.  Because p = N(0, (1 + v) I) is wider than
q = N(shift, I), the ratio w has a bound, and the search may end at the first i for which
T_(i+1) / max w is above the best so far:

    log w = d/2 log(1 + v) + <shift, s> - |shift|^2 / 2 - |s|^2 v / (2 (1 + v))
    max w = (1 + v)^(d/2) exp(|shift|^2 / (2 v))

The search looks at about max w candidates, so a sample of D dimensions is cut into chunks of a few
bits each.  If max w exceeds the number N of candidates that the sender is willing to search, it
chooses among these by their ratios and prefers early ones.  That is ordered random coding (Theis
and Yosri, "Algorithms for the communication of samples", arXiv 2110.12805), and amounts to
replacing E_i by N / (N - i + 1) E_i in T_i.  Such a chunk's sample leans towards the prior.
Receivers need not know which of the two was done.

"Exactly" refers to the prior that candidates are drawn from: its distribution function is that of a
normal within 5e-5 (:mod:`~diffc_stream.channel.candidates`).

    payload = range coder of: v:10 bits, bits a chunk:5, bits a number:5, decay:5, number*
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import frexp, log, log2

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import candidates, zipf
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

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_CHUNK_BITS = 32
DIMS_PER_BYTE = 2**14
"""A payload has at least one byte for this many dimensions, so that few bytes cannot cause much
work."""

_V_CODES = 1024
# 2^(k/32) as fractions of 2^20, which any floating point represents exactly.
_STEPS = (
    *(1048576, 1071537, 1095000, 1118978, 1143480, 1168519, 1194106, 1220254),
    *(1246974, 1274279, 1302182, 1330696, 1359835, 1389611, 1420040, 1451135),
    *(1482910, 1515382, 1548564, 1582474, 1617125, 1652536, 1688722, 1725700),
    *(1763488, 1802103, 1841564, 1881889, 1923097, 1965207, 2008240, 2052214),
)
_RATE_UNIT = 2.0**-24
_LEAST_CODE = 0.7
_SPARE_BITS = 2
_TOLERATED = 1 / 64
_AT_ONCE = 2**18
_FEWEST_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The result of a sender's search, chunk by chunk."""

    v_code: int
    chunk_bits: int
    numbers: Integers
    """Shape (chunks,): the number, from 1, of the candidate chosen."""
    exact: NDArray[np.bool_]
    """Shape (chunks,): whether no candidate beyond those searched could have been chosen."""


@dataclass(frozen=True, slots=True)
class PoissonFunctionalRepresentation:
    """Reverse channel coding by numbers of candidates; see the module and ``Simulator``.

    ``chunk_bits`` is the information that a chunk may hold on average, 1 to 32 bits.
    ``candidates`` is how many are searched per chunk at most, 2 to 2^24 (one fewer if it is a power
    of two, so that their numbers fit).  If the shift is so uneven or large that some chunks hold
    more information than so many candidates can tell, ``careful`` makes chunks smaller, and refuses
    the shift if that is not enough.  All three concern the sender only.  The encoder's work is
    D * ``candidates``, the decoder's D.  Raises ValueError for parameters out of range.
    """

    chunk_bits: int = 8
    candidates: int = 2**14
    careful: bool = True

    def __post_init__(self) -> None:
        if not (1 <= self.chunk_bits <= MAX_CHUNK_BITS and 2 <= self.candidates <= 2**24):
            raise ValueError(f"{self.chunk_bits} bits a chunk from {self.candidates} candidates")

    def admits(self, dims: int, length: int) -> bool:
        """Return whether a step over ``dims`` values may have a payload of ``length`` bytes."""
        return dims >= 1 and length >= 1 and dims <= length * DIMS_PER_BYTE

    def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
        """Transmit a sample of N(shift, I) in at most ``length`` bytes.

        See ``Simulator.simulate``.  Raises SimulationError also for a shift of more than 2^16 mean
        square, and for one that :attr:`careful` refuses; raises MissingPackage if constriction is
        not installed.
        """
        check_shift(shift)
        check_length(self, len(shift), length)
        constriction_stream()
        layout = self._layout(shift)
        # Refuse before the search, which takes a while.  Measured numbers take 0.9 of this or more.
        least = _LEAST_CODE * np.minimum(layout.information(shift), self._number_bits).sum()
        if least > 8 * length:
            raise SimulationError(_too_little(length, len(shift)))
        search = self.search(shift, address)
        payload = self._encode(search)
        payload += bytes(max(0, -(-len(shift) // DIMS_PER_BYTE) - len(payload)))
        if len(payload) > length:
            raise SimulationError(_too_little(length, len(shift)))
        values = layout.values(search.numbers, address)
        sample = Sample(values=values, there=len(shift), energy=energy(search.v_code))
        return Simulation(payload=payload, sample=sample, gain=1.0)

    def reproduce(self, payload: bytes, dims: int, length: int, address: Address) -> Sample:
        """Rebuild the sample of a payload from any prefix of it; see ``Simulator.reproduce``."""
        check_length(self, dims, length)
        reader = zipf.Reader(payload[:length])
        v_code = reader.uniform(_V_CODES)
        chunk_bits = reader.uniform(MAX_CHUNK_BITS)
        bits = reader.uniform(32)
        decay = reader.uniform(len(zipf.DECAYS))
        if v_code is None or chunk_bits is None or bits is None or decay is None:
            return Sample(values=np.zeros(dims, np.float32), there=0, energy=0.0)
        layout = _Layout(dims, v_code, chunk_bits + 1)
        numbers: list[int] = []
        # Garbage may ask for numbers that are longer than any sender's.
        while len(numbers) < layout.count and 2 <= bits <= zipf.MAX_BITS:
            number = reader.number(bits, zipf.DECAYS[decay])
            if number is None:
                break
            numbers.append(number)
        values = layout.values(np.array(numbers, np.int64), address)
        there = int(layout.edges[len(numbers)])
        return Sample(values=values, there=there, energy=energy(v_code))

    def search(self, shift: Floats, address: Address) -> Search:
        """Choose a candidate for every chunk of ``shift``, shape (D,), finite.

        Raises SimulationError for a shift of more than 2^16 mean square, and for one that
        :attr:`careful` refuses.
        """
        layout = self._layout(shift)
        limit = min(self.candidates, 2**self._number_bits - 1)
        scores = candidates.scorer(len(shift) * limit)
        numbers = np.empty(layout.count, np.int64)
        exact = np.empty(layout.count, np.bool_)
        for chunk in range(layout.count):
            part = shift[layout.edges[chunk] : layout.edges[chunk + 1]].astype(np.float64)
            ratio = _Ratio(part, layout.v_code)
            numbers[chunk], exact[chunk] = _choose(ratio, limit, address, chunk, scores)
        return Search(layout.v_code, layout.chunk_bits, numbers, exact)

    @property
    def _number_bits(self) -> int:
        return max(2, (self.candidates - 1).bit_length())

    def _layout(self, shift: Floats) -> _Layout:
        mean_square = float(np.mean(np.square(shift, dtype=np.float64)))
        if mean_square > 2.0**16:
            raise SimulationError(f"a shift of mean square {mean_square:.3g} is too large")
        v_code = nearest_code(mean_square)
        for chunk_bits in range(self.chunk_bits, 0, -1):
            layout = _Layout(len(shift), v_code, chunk_bits)
            if not self.careful or layout.surplus(shift, self._number_bits) <= _TOLERATED:
                return layout
        raise SimulationError(f"{self.candidates} candidates are too few for so uneven a shift")

    def _encode(self, search: Search) -> bytes:
        bits = self._number_bits
        decay = zipf.best_decay(search.numbers, bits)
        writer = zipf.Writer()
        writer.uniform(search.v_code, _V_CODES)
        writer.uniform(search.chunk_bits - 1, MAX_CHUNK_BITS)
        writer.uniform(bits, 32)
        writer.uniform(zipf.DECAYS.index(decay), len(zipf.DECAYS))
        for number in search.numbers.tolist():
            writer.number(number, bits, decay)
        return writer.finish()


def energy(code: int) -> float:
    """Return the v that ``code``, 0 to 1023, stands for: 0, then about 2^(code / 32 - 16)."""
    return _STEPS[code % 32] / 2.0**20 * 2.0 ** (code // 32 - 16) if code else 0.0


def nearest_code(v: float) -> int:
    """Return the code of the energy nearest to ``v`` on a logarithmic scale; 0 only for v = 0."""
    return min(max(round(32 * (log2(v) + 16)), 1), _V_CODES - 1) if v > 0 else 0


@cache
def rate(code: int) -> int:
    """Return the information per dimension, log2(1 + v) / 2 bits, in units of 2^-24 bit.

    No value lies within 1e-4 of a rounding boundary (a test checks that), so that the last bit of a
    platform's logarithm does not matter.
    """
    return round(log2(1.0 + energy(code)) / 2 / _RATE_UNIT)


class _Layout:
    """The chunks of a sample: chunk c of n holds the values floor(cD/n) to floor((c+1)D/n)."""

    def __init__(self, dims: int, v_code: int, chunk_bits: int) -> None:
        self.dims = dims
        self.v_code = v_code
        self.chunk_bits = chunk_bits
        self.count = min(dims, max(1, -(-dims * rate(v_code) // (chunk_bits << 24))))
        self.edges = np.arange(self.count + 1, dtype=np.int64) * dims // self.count

    def information(self, shift: Floats) -> Doubles:
        """Return KL(q || p) of every chunk, in bits: (chunks,)."""
        v = energy(self.v_code)
        widths, squares = self._energies(shift)
        nats: Doubles = widths * log(1.0 + v) / 2 + (squares - widths * v) / (2 * (1.0 + v))
        return nats / log(2.0)

    def surplus(self, shift: Floats, number_bits: int) -> float:
        """Return the expected excess of noise, above unit variance, from chunks that hold too much.

        If d values hold I bits and only b can be told, their noise is 2^(2 (I - b) / d).  Choosing
        well among N candidates takes about N = 2^(I + 2), or max w.
        """
        widths, squares = self._energies(shift)
        v = energy(self.v_code)
        bounds = (widths * log(1.0 + v) / 2 + squares / (2 * v if v else 1.0)) / log(2.0)
        needed = np.minimum(self.information(shift) + _SPARE_BITS, bounds)
        noise = np.exp2(np.clip(2 * (needed - number_bits) / widths, 0.0, 100.0)) - 1
        return float(np.dot(noise, widths) / self.dims)

    def _energies(self, shift: Floats) -> tuple[Integers, Doubles]:
        """Return the width of every chunk and the energy of its shift."""
        squares = np.add.reduceat(np.square(shift, dtype=np.float64), self.edges[:-1])
        return np.diff(self.edges), squares

    def values(self, numbers: Integers, address: Address) -> Floats:
        """Return the candidates with these numbers, one per chunk, then zeros, shape (dims,)."""
        values = np.zeros(self.dims, np.float32)
        widest = -(-self.dims // self.count)
        step = max(1, _AT_ONCE // widest)
        for first in range(0, len(numbers), step):
            edges = self.edges[first : min(first + step, len(numbers)) + 1]
            chunks = np.arange(first, first + len(edges) - 1)
            for lanes in (range(i, min(i + _AT_ONCE, widest)) for i in range(0, widest, _AT_ONCE)):
                drawn = candidates.draw(address, chunks, numbers[first : first + step], lanes)
                places = edges[:-1, None] + np.arange(lanes.start, lanes.stop)
                there = places < edges[1:, None]
                values[places[there]] = drawn[there]
        # Integers below 2^24 times one float32: the same on every machine.
        values *= np.float32(candidates.unit(energy(self.v_code)))
        return values


class _Ratio:
    """The logarithm of w = q / p over one chunk, computed from the integers of candidates."""

    def __init__(self, part: Doubles, v_code: int) -> None:
        v = energy(v_code)
        self.factor = candidates.unit(v)
        # Rounded to a grid so coarse that products with integers below 2^17 add up to less than
        # 2^53: then sums are exact, and the same in any order and on any machine.
        grid = 2.0 ** (frexp(float(np.abs(part).max(initial=0.0)) * len(part))[1] - 35)
        self.part = np.round(part / grid) * grid
        square = float(np.dot(self.part, self.part))
        half_log = len(part) / 2 * log(1.0 + v)
        self._constant = half_log - square / 2
        self._bend = v / (2 * (1.0 + v))
        self.log_bound = half_log + (square / (2 * v) if v else 0.0)

    def log_ratio(self, products: Doubles, squares: Doubles) -> Doubles:
        """Return log w from <shift, z> and |z|^2, z the integers of the candidates."""
        drift = self.factor * products
        drift -= self._bend * self.factor**2 * squares
        drift += self._constant
        return drift


def _choose(
    ratio: _Ratio, limit: int, address: Address, chunk: int, scores: candidates.Scores
) -> tuple[int, bool]:
    """Return the number of the candidate chosen, and whether one beyond ``limit`` is ruled out."""
    poisson = ratio.log_bound <= log(limit)
    least, chosen, clock = np.inf, 0, 0.0
    for numbers in _batches(limit, len(ratio.part), eager=not poisson):
        weights = ratio.log_ratio(*scores(address, chunk, numbers, ratio.part))
        gaps = candidates.exponentials(address, chunk, numbers)
        if not poisson:
            gaps *= limit / (limit + 1.0 - np.arange(numbers.start, numbers.stop))
        arrivals = clock + np.cumsum(gaps)
        race = np.log(arrivals) - weights
        best = int(race.argmin())
        if race[best] < least:
            least, chosen = float(race[best]), numbers[best]
        clock = float(arrivals[-1])
        if poisson and log(clock) - ratio.log_bound >= least:
            return chosen, True
    return chosen, False


def _batches(limit: int, width: int, *, eager: bool) -> Iterator[range]:
    """Yield the numbers 1 to ``limit`` in batches of bounded memory.

    Unless ``eager``, the first batches are short, because the search may end early.
    """
    most = max(1, _AT_ONCE // max(width, 4))
    size = most if eager else min(most, _FEWEST_AT_ONCE)
    first = 1
    while first <= limit:
        yield range(first, min(first + size, limit + 1))
        first += size
        size = min(2 * size, most)


def _too_little(length: int, dims: int) -> str:
    return f"{length} bytes cannot bring so large a shift of {dims} values across"
