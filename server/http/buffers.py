"""Bytes of answers that wait to be taken: counted when they are held, by visitor and in all.

What several answers hold at once, one file of the page say, counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

MOST = 2**27
"""Bytes, of all answers."""
SHARE = 2
"""One visitor may have one part in so many."""
RETRY_AFTER = 5.0
"""Seconds after which to come back."""


class Buffers:
    """Counts what answers hold in memory."""

    def __init__(self, most: int = MOST) -> None:
        """Have answers hold ``most`` bytes together, and a visitor's half as many."""
        self._most = most
        self._holders: Counter[int] = Counter()
        self._by_visitor: Counter[str] = Counter()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """What is held now."""
        return self._bytes

    @property
    def visitors(self) -> int:
        """How many hold something."""
        return len(self._by_visitor)

    @contextmanager
    def held(self, visitor: str, size: int, body: bytes | None = None) -> Iterator[None]:
        """Hold ``size`` bytes for a visitor; of a ``body``, these.

        Raises RequestRefused beyond the limits, with the time to come back.
        """
        new = size if body is None or not self._holders[id(body)] else 0
        share = self._most // SHARE
        # Whoever holds nothing may have one, however large.
        mine = self._by_visitor[visitor]
        if (mine and mine + size > share) or (self._bytes and self._bytes + new > self._most):
            self._tidy(visitor, body)
            message = "too many answers wait to be taken"
            raise RequestRefused(Code.BUSY, message, retry=True, after=RETRY_AFTER)
        self._by_visitor[visitor] += size
        self._bytes += new
        if body is not None:
            self._holders[id(body)] += 1
        try:
            yield
        finally:
            self._by_visitor[visitor] -= size
            if body is None:
                self._bytes -= size
            else:
                self._holders[id(body)] -= 1
                self._bytes -= 0 if self._holders[id(body)] else size
            self._tidy(visitor, body)

    def _tidy(self, visitor: str, body: bytes | None) -> None:
        if not self._by_visitor[visitor]:
            del self._by_visitor[visitor]
        if not self._holders[id(body)]:
            del self._holders[id(body)]
