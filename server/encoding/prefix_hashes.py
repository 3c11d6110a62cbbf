"""The hashes of the beginnings of a stream, of which no byte is hashed again for each receiver."""

from __future__ import annotations

from threading import Lock

from diffc_stream.session import PrefixHash

EVERY = 2**18
"""Bytes between two places at which the hash so far is kept: no more are hashed for a receiver once
those before have been.  A kept hash takes less than a kilobyte."""


class PrefixHashes:
    """The hashes of the beginnings of bytes to which more may be added meanwhile; thread-safe."""

    def __init__(self, data: bytearray) -> None:
        """Hash ``data``, whose bytes stay as they are once they are there."""
        self._data = data
        self._kept = [PrefixHash()]
        """The hashes after 0, EVERY, twice EVERY bytes, and so on."""
        self._guard = Lock()

    def of(self, length: int) -> str:
        """Return the hash of the first ``length`` bytes, all of which have to be there.

        Slow the first time, so call it on a thread: it copies no more than EVERY bytes at once, and
        other threads run while it hashes them.
        """
        whole, rest = divmod(length, EVERY)
        with self._guard:
            while len(self._kept) <= whole:
                self._kept.append(self._continued(len(self._kept) - 1, EVERY))
        return str(self._continued(whole, rest))

    def _continued(self, place: int, size: int) -> PrefixHash:
        """Return the hash that is kept at a place, after the ``size`` bytes that follow, too."""
        continued = self._kept[place].copy()
        continued.update(self._data[place * EVERY : place * EVERY + size])
        return continued
