"""Generates invalid inputs: noise, and damaged valid examples.

The sequence depends on the seed only, on every machine and version of Python.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

LENGTHS = (
    *(b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\xff\xff\xff\xff"),
    *(b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x80\x01"),
    *(b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x80\x00", b"\x80\x80\x80\x80\x01"),
)
"""The worst values of length fields: varints and plain integers, all ones and overlong."""

HOSTILE = (
    *(b"\x91" * depth for depth in (2, 60, 511, 513, 1100, 5000, 16_000)),  # nested
    *(b"\x81\x01" * depth for depth in (1, 100, 600)),
    *(b"\xdd\x00\x00\x00\x01" * depth for depth in (2, 600)),
    *(b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdd\x00\x00\x00\x41", b"\xdc\x00\x40"),
    *(b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x80", b"\x8f"),
    *(b"\xd9\xff", b"\xda\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdb\x00\x00\x04\x01" + b"a" * 1025),
    *(b"\xc4\x00", b"\xc4\x01a", b"\xc5\xff\xff", b"\xc6\xff\xff\xff\xff"),
    *(b"\xd4\x00a", b"\xd6\xff\x00\x00\x00\x00", b"\xc7\x00\x01", b"\xc9\xff\xff\xff\xff\x01"),
    *(b"\xd7\xff" + b"\xff" * 8, b"\xc7\x0c\xff" + b"\xff" * 12),  # times that there are not
    b"\xdc\x3f\xf0" + b"\x90" * 0x3FF0,
    b"\x9f" + b"\x90" * 15,
    b"\xdc\x00\x40" + (b"\xdc\x00\x40" + b"\x90" * 64) * 64,
    b"\xdc\x00\x40" + (b"\xdc\x00\x40" + b"\xc0" * 64) * 64,
    *(b"\xcb\x7f\xf8" + bytes(6), b"\xcb\x7f\xf0" + bytes(6), b"\xcb\xff\xf0" + bytes(6)),
    *(b"\xca\x7f\xc0\x00\x00", b"\xca\x00\x00\x00\x01", b"\xcb" + bytes(7) + b"\x01"),
    *(b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xd3" + b"\xff" * 8, b"\xcf" + bytes(8)),
    *(b"\xa3\xed\xa0\x80", b"\xa1\xff", b"\xa2\xc0\xaf", b"\xa4\xf4\x90\x80\x80", b"\xa1\x00"),
    *(b"\xa3\xe2\x80\xa8", b"\xa2\xc2\x85", b"\xa3\xe2\x80\xae", b"\xa1\n", b"\xa3\xef\xbb\xbf"),
    *(b"\xc1", b"\xc2", b"\xc3", b"\xc0", b"\xff", b"\xe0"),
)
"""MessagePack: nesting, lengths that are not there, empty arrays, extensions, NaN, surrogates."""

Operation = Callable[["Mutator", bytearray, Sequence[bytes]], None]


class Mutator:
    """A seeded source of inputs."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self.draw: Callable[[], float] = self._random.random
        """Returns a number from 0 to 1."""

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit`` - 1."""
        return int(self.draw() * limit)

    def choice(self, examples: Sequence[bytes]) -> bytes:
        """Return one of the examples."""
        return examples[int(self.draw() * len(examples))]

    def noise(self, most: int) -> bytes:
        """Return up to ``most`` random bytes."""
        return self._random.randbytes(self.below(most + 1))

    def exactly(self, size: int) -> bytes:
        """Return ``size`` random bytes."""
        return self._random.randbytes(size)

    def mutated(self, examples: Sequence[bytes]) -> bytes:
        """Return one of the examples with one to three kinds of damage."""
        data = bytearray(self.choice(examples))
        for _ in range(1 + int(self.draw() * 3)):
            OPERATIONS[int(self.draw() * len(OPERATIONS))](self, data, examples)
        return bytes(data)


def _flip(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    if data:
        data[mutator.below(len(data))] ^= 1 << mutator.below(8)


def _overwrite(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    if data:
        data[mutator.below(len(data))] = mutator.below(256)


def _truncate(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    del data[mutator.below(len(data) + 1) :]


def _drop(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    place = mutator.below(len(data) + 1)
    del data[place : place + 1 + mutator.below(8)]


def _insert(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    place = mutator.below(len(data) + 1)
    data[place:place] = mutator.noise(8)


def _duplicate(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    place = mutator.below(len(data) + 1)
    data[place:place] = data[place : place + 1 + mutator.below(32)] * (1 + mutator.below(4))


def _splice(mutator: Mutator, data: bytearray, examples: Sequence[bytes]) -> None:
    other = mutator.choice(examples)
    data[mutator.below(len(data) + 1) :] = other[mutator.below(len(other) + 1) :]


def _tamper(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    place = mutator.below(len(data) + 1)
    length = mutator.choice(LENGTHS)
    data[place : place + len(length)] = length


def _poison(mutator: Mutator, data: bytearray, _examples: Sequence[bytes]) -> None:
    place = mutator.below(len(data) + 1)
    data[place : place + mutator.below(3)] = mutator.choice(HOSTILE)


OPERATIONS: tuple[Operation, ...] = (
    *(_flip, _flip, _overwrite, _overwrite, _truncate, _drop),
    *(_insert, _duplicate, _splice, _tamper, _poison),
)
