"""How many files and sockets this process may have open at once, and a few for when it has them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Self

SPARE = 192
"""Descriptors needed beside the connections': pictures, logs, the store, the loop, who watches."""
LENT = 8
"""Those of them that are kept open, to be closed when there are no others."""


def allow(connections: int, needed_for: Callable[[int], int] = lambda most: most) -> int:
    """Have the system allow so many connections, and return how many of them it does allow.

    ``needed_for`` says how many descriptors a number of them takes, more for more.  The limit is
    raised as far as it may be, and no further than necessary.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return connections
    needed = needed_for(connections) + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        within = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        # Some systems refuse what they say is allowed.
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
    """Descriptors that are kept open for nothing, so that some are left when there are no others.

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
        """How many are missing."""
        return 0 if self._closed else self._most - len(self._kept)

    def open(self) -> None:
        """Take them, as far as there are any."""
        self._closed = False
        self.refill()

    def lend(self) -> bool:
        """Close one, so that whoever asks can open something; False if none is left."""
        if not self._kept:
            return False
        os.close(self._kept.pop())
        return True

    def refill(self) -> None:
        """Take back what was lent, as far as it can be had."""
        with contextlib.suppress(OSError):
            while not self._closed and len(self._kept) < self._most:
                self._kept.append(os.open(os.devnull, os.O_RDONLY))

    def close(self) -> None:
        """Give all back."""
        self._closed = True
        while self._kept:
            os.close(self._kept.pop())
