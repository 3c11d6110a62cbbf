"""Prefixes of a stream, rendered on a thread."""

from __future__ import annotations

import threading

import pytest
from fakes import FakeDecoder, FakeDecoders, stream_of

from diffc_client import Method
from diffc_client.decoding.decoders import Picture
from diffc_client.notebook.prefixes import PrefixRenderer

STREAM = stream_of("a.png", 5000)


class Seen:
    """What a renderer says, and when it may go on."""

    def __init__(self) -> None:
        self.pictures: list[tuple[int, Method]] = []
        self.errors: list[Exception] = []
        self.began, self.go = threading.Event(), threading.Event()

    def show(self, picture: Picture, method: Method) -> None:
        self.pictures.append((picture.bytes, method))
        self.began.set()
        assert self.go.wait(60)


def test_the_newest_wish_is_granted_and_those_before_it_forgotten() -> None:
    seen, decoders = Seen(), FakeDecoders()
    renderer = PrefixRenderer(decoders, seen.show, seen.errors.append)
    renderer.wish(STREAM[:1000], 0.0)
    assert seen.began.wait(60)
    for size in (2000, 3000, 4000):
        renderer.wish(STREAM[:size], 0.5)
    seen.go.set()
    renderer.wait(60)
    assert seen.pictures == [(1000, 0.0), (4000, 0.5)]
    assert len(decoders.made) == 1  # it went on
    renderer.wish(STREAM[:500], 0.0)
    renderer.wait(60)
    assert seen.pictures[-1] == (500, 0.0)
    assert len(decoders.made) == 2  # there is no going back
    assert seen.errors == []


def test_an_error_ends_a_wish_and_not_the_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    seen.go.set()
    renderer = PrefixRenderer(FakeDecoders(), seen.show, seen.errors.append)
    with monkeypatch.context() as broken:

        def fail(self: FakeDecoder, data: bytes) -> None:
            raise RuntimeError("no")

        broken.setattr(FakeDecoder, "feed", fail)
        renderer.wish(STREAM[:100], 0.0)
        renderer.wait(60)
    assert [str(error) for error in seen.errors] == ["no"]
    renderer.wish(STREAM[:1000], 0.0)
    renderer.wait(60)
    assert seen.pictures == [(1000, 0.0)]


def test_a_closed_one_does_not_begin() -> None:
    seen = Seen()
    renderer = PrefixRenderer(FakeDecoders(), seen.show, seen.errors.append)
    renderer.wish(STREAM[:1000], 0.0)
    assert seen.began.wait(60)
    renderer.wish(STREAM[:2000], 0.0)
    with pytest.raises(TimeoutError):
        renderer.wait(0)
    renderer.close()
    seen.go.set()
    renderer.wait(60)
    assert seen.pictures == [(1000, 0.0)]
