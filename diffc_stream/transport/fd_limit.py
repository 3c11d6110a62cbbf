"""The limit of open files and sockets, and a reserve of descriptors for when it is reached."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Self

SPARE = 192
"""Descriptors for everything but connections: pictures, logs, the store, the loop, monitoring."""
LENT = 8
"""How many of them are kept open as a reserve, to be closed when there are no others."""


def allow(connections: int, needed_for: Callable[[int], int] = lambda most: most) -> int:
    """Ask the system for enough descriptors, and return how many connections it allows.

    ``needed_for`` returns the descriptors that a number of connections takes; it must be
    increasing.  The limit of the process is raised as far as necessary and allowed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return connections
    needed = needed_for(connections) + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        within = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        # Some systems refuse even values that they report as allowed.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    least, beyond = 1, connections
    while beyond - least > 1:
        middle = (least + beyond) // 2
        least, beyond = (middle, beyond) if needed_for(middle) + SPARE <= soft else (least, middle)
    return least


class Spare:
    """A reserve of descriptors: kept open, and closed one by one when there are no others.

    >>> with Spare() as spare:
    ...     spare.lend()
    """

    def __init__(self, most: int = LENT) -> None:
        """Keep ``most`` of them."""
        self._most = most
        self._kept: list[int] = []
        self._closed = True

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lent(self) -> int:
        """How many have been lent and not been replaced."""
        return 0 if self._closed else self._most - len(self._kept)

    def open(self) -> None:
        """Open the reserve, as far as descriptors are available."""
        self._closed = False
        self.refill()

    def lend(self) -> bool:
        """Close one, so that the caller can open something; return False if none is left."""
        if not self._kept:
            return False
        os.close(self._kept.pop())
        return True

    def refill(self) -> None:
        """Open replacements for those that were lent, as far as descriptors are available."""
        with contextlib.suppress(OSError):
            while not self._closed and len(self._kept) < self._most:
                self._kept.append(os.open(os.devnull, os.O_RDONLY))

    def close(self) -> None:
        """Close all."""
        self._closed = True
        while self._kept:
            os.close(self._kept.pop())
