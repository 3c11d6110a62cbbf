"""The integer Zipf code for numbers of candidates, 1 and up: small numbers take few bits.

The number of the candidate that a Poisson functional representation picks has approximately a Zipf
distribution, i^-lambda, with lambda = 1 + 1 / (C + log2(e) / e + 1) for C bits of information (Li
and El Gamal 2018, "Strong functional representation lemma", section III).  A range coder with
probabilities of 24 bits codes the half octave that i lies in as a symbol, and the rest of i as
plain bits; that costs about 0.01 bit more than coding i itself.  The probability of half octave h
of octave e (2^e <= i < 2^(e+1)) is proportional to

    (sum of 1/j over the j of the half octave) * (decay / 64)^e        lambda = 1 - log2(decay / 64)

The sender picks the decay, an integer, after it has seen the numbers.

Both ends must agree to the last bit, so probabilities are integers.  ``constriction`` takes floats:
it multiplies their running sum by (2^24 - n) / (their sum), where n is the number of symbols,
rounds down and gives each symbol one more.  Integers that add up to 2^24 - n are multiplied by
exactly 1.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.range_coder import constriction_stream

MAX_BITS = 24
"""Numbers have at most this many bits."""
DECAYS = range(32, 96, 2)
"""The decays that a sender may pick; they stand for a lambda of 2 to 0.45."""

_SCALE = 2**24
_HARMONIC_OCTAVES = 8
_RULER = 2**32
# A decoder looks beyond the payload's words no farther than its state of 64 bits and a word.
_PAD_WORDS = 4


def half_octaves(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the half octave, 0 and up, of each number: 0 for 1, 2e - 1 and 2e for octave e."""
    # A double holds 24 bits, so its exponent is the octave.
    octave = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    second = numbers >> np.maximum(octave - 1, 0) & 1
    halves: NDArray[np.int64] = np.where(octave > 0, 2 * octave - 1 + second, 0)
    return halves


@cache
def frequencies(bits: int, decay: int) -> tuple[int, ...]:
    """Return the frequencies, of 2^24, of the half octaves of numbers of at most ``bits`` bits.

    ``bits`` is 2 to MAX_BITS, ``decay`` one of DECAYS; the result has 2 * bits - 1 entries.
    """
    weights = [
        mass * decay**octave * 64 ** (bits - octave)
        for octave, mass in ((-(-half // 2), _harmonic(half)) for half in range(2 * bits - 1))
    ]
    free = _SCALE - len(weights)
    total, reached, shares = sum(weights), 0, [0]
    for weight in weights:
        reached += weight
        shares.append(reached * free // total)
    return tuple(after - before + 1 for before, after in pairwise(shares))


def code_length(numbers: NDArray[np.int64], bits: int, decay: int) -> float:
    """Return how many bits the code spends on all of ``numbers`` together."""
    counts = np.bincount(half_octaves(numbers), minlength=2 * bits - 1)
    plain = [max(0, (half - 1) // 2) for half in range(2 * bits - 1)]
    spent = [
        24 - log2(frequency) + rest
        for frequency, rest in zip(frequencies(bits, decay), plain, strict=True)
    ]
    return float(np.dot(counts, spent))


def best_decay(numbers: NDArray[np.int64], bits: int) -> int:
    """Return the decay that codes ``numbers`` in the fewest bits."""
    return min(DECAYS, key=lambda decay: code_length(numbers, bits, decay))


class Writer:
    """Codes integers into bytes.  Any prefix of the bytes decodes to the first integers."""

    def __init__(self) -> None:
        self._encoder = constriction_stream().queue.RangeEncoder()
        self._written: list[tuple[int, Any]] = []

    def uniform(self, value: int, size: int) -> None:
        """Code a value of 0 to ``size`` - 1, all equally likely; ``size`` is 2^1 to 2^24."""
        self._put(value, _uniform(size))

    def number(self, number: int, bits: int, decay: int) -> None:
        """Code a number of 1 to 2^``bits`` - 1."""
        octave = number.bit_length() - 1
        half = 0 if octave == 0 else 2 * octave - 1 + (number >> (octave - 1) & 1)
        self._put(half, _model(bits, decay))
        if octave > 1:
            rest = 2 ** (octave - 1)
            self.uniform(number % rest, rest)

    def finish(self) -> bytes:
        """Return the shortest bytes that decode to what was coded, whatever follows them."""
        words: NDArray[np.uint32] = self._encoder.get_compressed()
        code = words.astype(">u4").tobytes()
        point = int.from_bytes(code, "big")
        for size in range(max(0, len(code) - 8), len(code)):
            for more in (0, 1):
                head = (point >> 8 * (len(code) - size)) + more
                if head < 256**size and self._decodes(head.to_bytes(size, "big")):
                    return head.to_bytes(size, "big")
        return code if self._decodes(code) else code + bytes(4)

    def _put(self, symbol: int, model: Any) -> None:
        self._encoder.encode(symbol, model)
        self._written.append((symbol, model))

    def _decodes(self, code: bytes) -> bool:
        reader = Reader(code)
        return all(reader.symbol(model) == symbol for symbol, model in self._written)


class Reader:
    """Decodes what :class:`Writer` coded from any prefix of its bytes (and garbage to garbage).

    A value counts as arrived once it is the same whatever bytes may follow.  The symbol that a
    range coder decodes never decreases when the bytes, read as a number, grow.  So it is enough to
    compare two continuations: all zeros and all ones.
    """

    def __init__(self, code: bytes) -> None:
        decoder = constriction_stream().queue.RangeDecoder
        size = len(code) // 4 * 4 + 4 * _PAD_WORDS
        self._lowest = decoder(_as_words(code.ljust(size, b"\x00")))
        self._highest = decoder(_as_words(code.ljust(size, b"\xff")))
        self._ended = False

    def uniform(self, size: int) -> int | None:
        """Return the next value of 0 to ``size`` - 1; None if it has not arrived."""
        return self.symbol(_uniform(size))

    def number(self, bits: int, decay: int) -> int | None:
        """Return the next number of 1 to 2^``bits`` - 1; None if it has not arrived."""
        half = self.symbol(_model(bits, decay))
        if half is None or half == 0:
            return half if half is None else 1
        octave = (half + 1) // 2
        head = 2 + (half + 1) % 2
        if octave == 1:
            return head
        rest = self.uniform(2 ** (octave - 1))
        return None if rest is None else head << (octave - 1) | rest

    def symbol(self, model: Any) -> int | None:
        """Return the next symbol of a constriction model; None if it has not arrived."""
        if self._ended:
            return None
        try:
            symbol = int(self._lowest.decode(model))
            self._ended = symbol != int(self._highest.decode(model))
        except AssertionError:  # what constriction raises for bytes that no encoder writes
            self._ended = True
        return None if self._ended else symbol


def _as_words(code: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(code, ">u4").astype(np.uint32)


@cache
def _uniform(size: int) -> Any:
    return constriction_stream().model.Uniform(size)


@cache
def _model(bits: int, decay: int) -> Any:
    shares = np.array(frequencies(bits, decay), np.float64) - 1
    return constriction_stream().model.Categorical(shares, perfect=False)


@cache
def _harmonic(half: int) -> int:
    """Return the sum of 1/j over a half octave, in units of 2^-32 and rounded down."""
    if half == 0:
        return _RULER
    octave = min((half + 1) // 2, _HARMONIC_OCTAVES)
    head = 2 + (half + 1) % 2
    first, count = head << (octave - 1), 1 << (octave - 1)
    return sum(_RULER // j for j in range(first, first + count))
