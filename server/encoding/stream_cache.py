"""Streams in memory, up to a number of bytes; the least recently used are dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

from .slots import EncoderSlots, SlotHolder

OVERHEAD = 4096
"""Bytes that each stream counts in addition to its data."""
LOOK = 1024
"""How many streams are examined to find one to drop: the event loop waits meanwhile."""


class CachedStream(SlotHolder, Protocol):
    """A stream in the cache, which may still grow."""

    def __len__(self) -> int: ...

    @property
    def busy(self) -> bool:
        """Whether it is being computed or saved."""
        ...


Stream = TypeVar("Stream", bound=CachedStream)


class StreamCache(Generic[Stream]):
    """Holds streams up to a number of bytes, which it counts as they grow."""

    def __init__(self, most: int, slots: EncoderSlots) -> None:
        """Hold up to ``most`` bytes; a stream that is dropped releases its slot."""
        self._most = most
        self._slots = slots
        self._streams: OrderedDict[Hashable, Stream] = OrderedDict()
        self._bytes = 0

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def nbytes(self) -> int:
        """Bytes of all streams, with their overhead."""
        return self._bytes

    def find(self, key: Hashable) -> Stream | None:
        """Return a stream, if it is here, and mark it as used now."""
        stream = self._streams.get(key)
        if stream is not None:
            self._streams.move_to_end(key)
        return stream

    def add(self, key: Hashable, stream: Stream) -> None:
        """Add a stream, dropping others if needed.  Raises RequestRefused if there is no room."""
        self.grow(0)
        self._drop(key)
        self._streams[key] = stream
        self._bytes += len(stream) + OVERHEAD

    def grow(self, size: int) -> None:
        """Count bytes that a stream has grown by; with 0, check that one may grow.

        Raises RequestRefused if there is no room, and no stream left to drop.
        """
        self._bytes += size
        if size or self._bytes <= self._most:
            return
        for _ in range(min(LOOK, len(self._streams))):
            key, stream = next(iter(self._streams.items()))
            if stream.idle and not stream.busy:
                self._drop(key)
            else:
                self._streams.move_to_end(key)  # in use: examine it last the next time
            if self._bytes <= self._most:
                return
        message = "too many pictures are being sent"
        raise RequestRefused(Code.BUSY, message, retry=True, after=self._slots.estimated_wait())

    def _drop(self, key: Hashable) -> None:
        stream = self._streams.pop(key, None)
        if stream is not None:
            self._bytes -= len(stream) + OVERHEAD
            self._slots.release(stream)
            stream.rest()
