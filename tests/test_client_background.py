"""A sender on a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener
from serving import Background as Serving
from serving import pictures

from diffc_client import Address
from diffc_client.api.background import Background
from diffc_client.api.demand import Demand
from diffc_client.api.latest import Latest
from diffc_stream.errors import AddressError, LinkLost
from diffc_stream.session import Target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


def background(url: str) -> Background:
    return Background(Address.parse(url), FakeDecoders(), 0.01, None)


def follow(link: Background, image: str, target: Target, newest: Latest) -> None:
    link.follow(image, Demand(target), newest, render="mmse", previews=None, kept=None)


def test_several_pictures_over_one_link(folder: Path) -> None:
    one, other = Latest(), Latest()
    with Serving(folder) as url:
        link = background(url)
        follow(link, "a.png", Target(bytes=700), one)
        follow(link, "b.png", Target(bytes=900), other)
        assert [entry.name for entry in link.catalogue()] == ["a.png", "b.png", "sub/c.jpg"]
        for newest, end in ((one, 700), (other, 900)):
            last = None
            while (refinement := newest.take()) is not None:
                last = refinement
            assert last is not None
            assert (last.bytes, last.complete) == (end, True)
        link.close()


def test_closing_ends_all_of_it(folder: Path) -> None:
    gate, newest = threading.Semaphore(1), Latest()
    with Serving(folder, FakeOpener(gate=gate)) as url:
        link = background(url)
        wanted = Demand()
        following = link.follow("a.png", wanted, newest, render="mmse", previews=None, kept=None)
        assert newest.take() is not None
        link.close()
        link.close()
        assert newest.take() is None
        gate.release(100)
    with pytest.raises(RuntimeError, match="closed"):
        link.catalogue()
    with pytest.raises(RuntimeError, match="closed"):
        follow(link, "a.png", Target(), newest)
    # Who did not hear of it may go on as before.
    following.update(Target(bytes=5), 2.0)
    following.stop()
    assert wanted.weight == 1.0


def test_nobody_there_is_told_to_all() -> None:
    link, newest = background("ws://127.0.0.1:9"), Latest()
    follow(link, "a.png", Target(), newest)
    with pytest.raises(LinkLost):
        newest.take()
    for _ in range(2):
        with pytest.raises(LinkLost):
            link.catalogue()
    link.close()
    with pytest.raises(AddressError):
        background("nonsense")
