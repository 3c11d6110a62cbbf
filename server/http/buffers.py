"""Limits the memory of HTTP answers that clients have yet to take, for each client and in all.

A body that several answers share, such as a file of the viewer, counts once in the total.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

MOST = 2**27
"""Bytes of all answers together."""
SHARE = 2
"""One client may use one part in so many."""
RETRY_AFTER = 5.0
"""Seconds after which a client that is refused should come back."""


class Buffers:
    """Counts what answers hold in memory."""

    def __init__(self, most: int = MOST) -> None:
        """Let all answers hold ``most`` bytes together, and those of one client half as many."""
        self._most = most
        self._holders: Counter[int] = Counter()
        self._by_client: Counter[str] = Counter()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are held now."""
        return self._bytes

    @property
    def clients(self) -> int:
        """How many clients' answers hold something."""
        return len(self._by_client)

    @contextmanager
    def held(self, client: str, size: int, body: bytes | None = None) -> Iterator[None]:
        """Count ``size`` bytes for a client inside the block; ``body`` is the object, if shared.

        Raises RequestRefused beyond the limits, with the time to come back.
        """
        new = size if body is None or not self._holders[id(body)] else 0
        share = self._most // SHARE
        # A client that holds nothing may have one answer of any size.
        mine = self._by_client[client]
        if (mine and mine + size > share) or (self._bytes and self._bytes + new > self._most):
            self._tidy(client, body)
            message = "too many answers have not been read yet"
            raise RequestRefused(Code.BUSY, message, retry=True, after=RETRY_AFTER)
        self._by_client[client] += size
        self._bytes += new
        if body is not None:
            self._holders[id(body)] += 1
        try:
            yield
        finally:
            self._by_client[client] -= size
            if body is None:
                self._bytes -= size
            else:
                self._holders[id(body)] -= 1
                self._bytes -= 0 if self._holders[id(body)] else size
            self._tidy(client, body)

    def _tidy(self, client: str, body: bytes | None) -> None:
        if not self._by_client[client]:
            del self._by_client[client]
        if not self._holders[id(body)]:
            del self._holders[id(body)]
