"""The bytes of a stream that grows."""

from __future__ import annotations

from collections.abc import Callable

from diffc_stream.container import Header
from diffc_stream.session import MAX_STREAM

from .hulled_curve import HulledCurve
from .prefix_hashes import PrefixHashes

Hold = Callable[[int], None]
"""Counts bytes that a stream has grown by.  Raises RequestRefused if there is no room for more."""


class GrowingBytes:
    """A stream as far as it is there, MAX_STREAM bytes at most."""

    def __init__(self, hold: Hold) -> None:
        """Begin an empty stream; ``hold`` is called after it has grown."""
        self.pixels: int | None = None
        """The picture's number of pixels, once it is known."""
        self.complete = False
        """Whether the whole stream is there."""
        self.curve = HulledCurve()
        """The quality at its bytes."""
        self._data = bytearray()
        self._hashes = PrefixHashes(self._data)
        self._hold = hold

    def __len__(self) -> int:
        return len(self._data)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, as far as they are there."""
        return bytes(self._data[start:end])

    def held(self) -> bytes:
        """Return all bytes."""
        return bytes(self._data)

    def prefix(self, length: int) -> str | None:
        """Return the hash of the first ``length`` bytes; None while there are fewer.

        Slow when many bytes are hashed for the first time, so call it on a thread.
        """
        return self._hashes.of(length) if length <= len(self._data) else None

    def measure(self, stream: bytes) -> None:
        """Learn the number of pixels from the beginning of a stream.  Raises StreamError."""
        if self.pixels is None:
            header, _ = Header.parse(stream)
            self.pixels = header.pixels

    def take(self, piece: bytes) -> None:
        """Add bytes.  Raises RequestRefused if there is no room."""
        piece = piece[: MAX_STREAM - len(self)]
        self._data += piece
        self._hold(len(piece))
        self.curve.feed(piece)
        if len(self) >= MAX_STREAM:
            self.end()

    def end(self) -> None:
        """Note that the stream is complete."""
        self.complete = True
