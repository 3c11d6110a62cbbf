"""Streams in memory are counted as they grow, and make way for others."""

from __future__ import annotations

import pytest

from diffc_server.encoding import stream_cache
from diffc_server.encoding.slots import EncoderSlots
from diffc_server.encoding.stream_cache import OVERHEAD, StreamCache
from diffc_stream.errors import RequestRefused


class Stream:
    """So many bytes, that somebody uses or not."""

    weight, spare_since, busy = 0, None, False

    def __init__(self, size: int = 0, *, idle: bool = True) -> None:
        self.size = size
        self.idle = idle
        self.rested = False

    def __len__(self) -> int:
        return self.size

    def rest(self) -> None:
        """Let go."""
        self.rested = True


def held(streams: int) -> StreamCache[Stream]:
    return StreamCache(streams * OVERHEAD, EncoderSlots())


def test_they_are_counted_as_they_grow() -> None:
    held_ = held(4)
    stream = Stream(100)
    held_.add("a", stream)
    stream.size += 50
    held_.grow(50)
    assert held_.nbytes == OVERHEAD + 150
    held_.add("a", Stream(7))  # in its place
    assert (held_.nbytes, len(held_), stream.rested) == (OVERHEAD + 7, 1, True)


def test_the_oldest_that_nobody_uses_goes() -> None:
    held_ = held(2)
    first, second, third = Stream(idle=False), Stream(), Stream(2)
    for key, stream in (("a", first), ("b", second), ("c", third)):
        held_.add(key, stream)
    assert held_.find("b") is second  # used just now
    held_.grow(0)
    assert list(held_) == [second, first]
    assert third.rested


def test_what_is_in_use_stays_and_nothing_more_grows() -> None:
    held_ = held(1)
    held_.add("a", Stream(1, idle=False))
    with pytest.raises(RequestRefused, match="too many pictures") as caught:
        held_.grow(0)
    assert caught.value.retry
    with pytest.raises(RequestRefused):
        held_.add("b", Stream())
    assert len(held_) == 1


def test_only_so_many_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cache, "LOOK", 2)
    held_ = held(3)
    streams = [Stream(idle=False) for _ in range(3)] + [Stream(1)]
    for key, stream in enumerate(streams):
        held_.add(key, stream)
    with pytest.raises(RequestRefused):
        held_.grow(0)
    held_.grow(0)  # it goes on where it stopped
    assert streams[3].rested
