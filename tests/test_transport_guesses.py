"""Wrong tokens are counted by address."""

from __future__ import annotations

import pytest

from diffc_stream.transport.guesses import GUESSES, GUESSING, MOST_ADDRESSES, Guesses


class Clock:
    """Seconds, that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


def test_so_many_at_once_and_then_one_at_a_time() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    assert [guesses.count("192.0.2.1") for _ in range(GUESSES)] == [0.0] * GUESSES
    for _ in range(3):  # what is refused costs nothing more
        assert guesses.count("192.0.2.1") == pytest.approx(GUESSING)
    assert guesses.count("192.0.2.2") == 0.0
    clock.now += GUESSING
    assert guesses.count("192.0.2.1") == 0.0
    assert guesses.count("192.0.2.1") > 0.0


def test_a_household_is_one() -> None:
    guesses = Guesses(Clock())
    waits = [guesses.count(f"2001:db8::{number:x}") for number in range(1, GUESSES + 2)]
    assert [wait > 0.0 for wait in waits] == [False] * GUESSES + [True]


def test_no_more_are_remembered_than_may_be() -> None:
    guesses = Guesses(Clock())
    for number in range(MOST_ADDRESSES + 100):
        guesses.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(guesses) == MOST_ADDRESSES
