"""The form for scripts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener
from serving import Background, pictures

import diffc_client
from diffc_stream.errors import AddressError, LinkLost, UnknownImage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_a_loop_over_pictures(folder: Path) -> None:
    with Background(folder) as url:
        seen = list(diffc_client.stream(f"{url}/a.png", bytes=2000, decoders=FakeDecoders()))
    assert [refinement.complete for refinement in seen[:-1]] == [False] * (len(seen) - 1)
    assert (seen[-1].bytes, seen[-1].complete) == (2000, True)


def test_leaving_the_loop_ends_everything(folder: Path) -> None:
    opener = FakeOpener(length=10**6)
    with Background(folder, opener) as url:
        for refinement in diffc_client.stream(f"{url}/sub/c.jpg", decoders=FakeDecoders()):
            assert refinement.bytes > 0
            break
        assert "diffc-client" not in names_of_threads()
    assert opener.computed["c.jpg"] < 10**6


def test_a_slow_body_gets_the_newest_picture(folder: Path) -> None:
    gate = threading.Semaphore(1)
    complete = threading.Event()
    decoders = FakeDecoders()
    with Background(folder, FakeOpener(length=900, piece=300, gate=gate)) as url:
        loop = diffc_client.stream(f"{url}/a.png", decoders=decoders)
        assert next(loop).bytes <= 300
        decoder = decoders.made[0]
        feed = decoder.feed

        def watched(data: bytes) -> None:
            feed(data)
            if len(decoder.data) == 900:
                complete.set()

        decoder.feed = watched  # type: ignore[method-assign]
        gate.release(3)
        assert complete.wait(60)  # everything arrives and is decoded behind our back
        assert [refinement.bytes for refinement in loop][-1] == 900


def test_errors(folder: Path) -> None:
    with Background(folder) as url:
        with pytest.raises(UnknownImage):
            list(diffc_client.stream(f"{url}/nonsense.png", decoders=FakeDecoders()))
        with pytest.raises(AddressError, match="names no picture"):
            list(diffc_client.stream(url, decoders=FakeDecoders()))
    with pytest.raises(LinkLost):
        list(diffc_client.stream(f"{url}/a.png", decoders=FakeDecoders()))
    assert "diffc-client" not in names_of_threads()
