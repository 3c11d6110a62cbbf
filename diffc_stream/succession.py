"""The order of a camera's pictures: which of them the stream of another goes back to.

The pictures of one folder are of one camera, in the order of their modification times and, where
these are equal, of their names.  Each starts from the one before, except for key pictures: the
first of all, the first of each period of the clock, and one after LONGEST - 1 others, so that no
receiver needs more than these to begin.
"""

from __future__ import annotations

from collections.abc import Sequence

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.container.reference import nameable

KEY_EVERY = 3600.0
"""Seconds of a period of the clock."""
LONGEST_PERIOD = 31_622_400.0
"""The longest, a year of 366 days."""
LONGEST = 64
"""Pictures that go back to one key picture, with it."""


def period_of(key_every: float) -> int:
    """Return the nanoseconds of a period of ``key_every`` seconds, more than 0."""
    return max(1, round(key_every * 10**9))


def keys(pictures: Sequence[tuple[int, str]], period: int) -> list[int]:
    """Return the place of the key picture of each of a folder's pictures, which are in order.

    A picture is its modification time, in nanoseconds since 1970, and the name that its stream has
    without STREAM_SUFFIX; ``period`` is in nanoseconds.
    """
    found: list[int] = []
    for place, (time, _) in enumerate(pictures):
        key = found[-1] if place else 0
        if place and (
            place - key >= LONGEST
            or time // period != pictures[place - 1][0] // period
            or not is_nameable(pictures[place - 1][1])
        ):
            key = place
        found.append(key)
    return found


def is_nameable(name: str) -> bool:
    """Tell whether a stream may name the one of this picture, and receivers believe it."""
    return name.isprintable() and "\\" not in name and nameable(f"{name}{STREAM_SUFFIX}")
