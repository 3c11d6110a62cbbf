"""Streams in memory: so many bytes of them, and of those that nobody uses the oldest go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

from .slots import EncoderSlots, SlotHolder

OVERHEAD = 4096
"""Bytes that a stream counts beside its own."""
LOOK = 1024
"""Streams that are looked at for one that can go: others wait meanwhile."""


class CachedStream(SlotHolder, Protocol):
    """A stream that grows."""

    def __len__(self) -> int: ...

    @property
    def busy(self) -> bool:
        """It is being computed, or saved."""
        ...


Stream = TypeVar("Stream", bound=CachedStream)


class StreamCache(Generic[Stream]):
    """Holds streams, counts their bytes as they grow, and has room for no more than so many."""

    def __init__(self, most: int, slots: EncoderSlots) -> None:
        """Hold up to ``most`` bytes; what has to go gives its slot back."""
        self._most = most
        self._seats = slots
        self._streams: OrderedDict[Hashable, Stream] = OrderedDict()
        self._bytes = 0

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def nbytes(self) -> int:
        """What is held, with the overhead."""
        return self._bytes

    def find(self, key: Hashable) -> Stream | None:
        """Return a stream; it was used just now."""
        stream = self._streams.get(key)
        if stream is not None:
            self._streams.move_to_end(key)
        return stream

    def add(self, key: Hashable, stream: Stream) -> None:
        """Hold one more, in the place of another perhaps.  Raises RequestRefused: no room."""
        self.grow(0)
        self._drop(key)
        self._streams[key] = stream
        self._bytes += len(stream) + OVERHEAD

    def grow(self, size: int) -> None:
        """Count bytes that a stream has grown by; with 0, ask whether one may.

        Raises RequestRefused if all that could go has gone, and there is no room all the same.
        """
        self._bytes += size
        if size or self._bytes <= self._most:
            return
        for _ in range(min(LOOK, len(self._streams))):
            key, stream = next(iter(self._streams.items()))
            if stream.idle and not stream.busy:
                self._drop(key)
            else:
                self._streams.move_to_end(key)  # in use, so not to be looked at first again
            if self._bytes <= self._most:
                return
        message = "too many pictures are being sent"
        raise RequestRefused(Code.BUSY, message, retry=True, after=self._seats.patience())

    def _drop(self, key: Hashable) -> None:
        stream = self._streams.pop(key, None)
        if stream is not None:
            self._bytes -= len(stream) + OVERHEAD
            self._seats.leave(stream)
            stream.rest()
