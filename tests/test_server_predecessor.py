"""Streams of a camera's pictures start from those before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import camera
import pytest
import sources

from diffc_server import FileOpener
from diffc_server.catalogue.file import File
from diffc_server.encoding.predecessor import Predecessor
from diffc_server.encoding.subscribers import Account, Subscribers, Wake
from diffc_server.threads.pools import WorkerPools
from diffc_stream.codec import extent
from diffc_stream.container import Header
from diffc_stream.errors import RequestRefused, StreamError
from diffc_stream.opening import Identity
from diffc_stream.session import Code


def test_headers() -> None:
    stream = camera.streams(2)[1]
    header = Header.at(stream)
    assert header is not None
    assert header.reference is not None
    assert Header.at(stream[:20]) is None
    with pytest.raises(StreamError):
        Header.at(b"RIFF")


class _Stream:
    """A stream that is as long as it was ever wanted."""

    def __init__(self, data: bytes, refusal: RequestRefused | None = None) -> None:
        self.model: str | None = camera.MODEL.fingerprint
        self.complete = False
        self._data, self._there, self._refusal = data, 0, refusal
        self.claims: set[bool] = set()
        self.joined: list[Wake] = []

    def __len__(self) -> int:
        return self._there

    def read(self, start: int, end: int) -> bytes:
        return self._data[start : min(end, self._there)]

    def join(self, wake: Wake, account: Account | None = None) -> None:
        self.joined.append(wake)

    def leave(self, wake: Wake) -> None:
        self.joined.remove(wake)

    async def reach(
        self, length: int, account: Account | None = None, *, claimed: bool = False
    ) -> None:
        await asyncio.sleep(0)
        self.claims.add(claimed)
        if account is not None:
            account.charge(1.0)
        if self._refusal is not None:
            raise self._refusal
        self._there = max(self._there, min(length, len(self._data)))
        self.complete = self._there == len(self._data)


def file(name: str) -> File:
    return File(Path("/pictures") / name, Identity(0, 0, 0, 0, 0))


class _Account:
    def __init__(self) -> None:
        self.charged = 0.0

    def wait(self) -> float:
        return 0.0

    def charge(self, seconds: float) -> None:
        self.charged += seconds


async def opened(
    streams: list[_Stream], opener: FileOpener, after: bytes = b"", account: Account | None = None
) -> FileOpener:
    """Return the opener of the picture after ``streams``."""
    chain = tuple(file(f"{number}.png") for number in range(len(streams)))
    workers = WorkerPools(1)
    try:
        before = Predecessor(chain, lambda one, _: streams[int(one.path.stem)], opener, workers)
        mine = _Stream(after)
        await mine.reach(len(after))
        found = await before.opener_for(mine, account or _Account(), claimed=True)
    finally:
        workers.close()
        assert not any(stream.joined for stream in streams)
    assert isinstance(found, FileOpener)
    return found


@pytest.mark.asyncio
async def test_all_that_it_goes_back_to_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extent, "MOST_BPP", 1.0)
    data = camera.streams(3)
    opener = FileOpener(sources.collection(camera.MODEL))
    streams, account = [_Stream(data[0]), _Stream(data[1])], _Account()
    found = await opened(streams, opener, account=account)
    assert found._start == ("1.png.dfc", [data[1][:512], data[0][: camera.HALF]])
    assert account.charged == 3.0
    assert streams[0].claims == streams[1].claims == {True}
    # What has begun goes on from what its header says.
    found = await opened(streams, opener, after=data[2][:300])
    assert found._start == ("1.png.dfc", [data[1][: camera.HALF], data[0][: camera.HALF]])
    # Where a picture has been made, those before it are not needed.
    assert not opener.has_picture(data[1][:512])
    assert opener._pictures is not None
    opener._pictures.put(512, predecessor_digest(data[1][:512]), camera.frames(1)[0])
    found = await opened(streams, opener)
    assert found._start == ("1.png.dfc", [data[1][:512]])


def predecessor_digest(data: bytes) -> bytes:
    from diffc_stream.container.reference import digest

    return digest(data)


@pytest.mark.asyncio
async def test_what_is_opened_by_itself() -> None:
    data = camera.streams(3)
    opener = FileOpener(sources.collection(camera.MODEL))
    # It began without: so it goes on.
    assert await opened([_Stream(data[0])], opener, after=data[0][:300]) is opener
    # Its model knows no other noise than white.
    white = FileOpener({camera.MODEL.fingerprint: sources.independent()})
    assert await opened([_Stream(data[0])], white) is white
    never = RequestRefused(Code.UNREADABLE_IMAGE, "no picture")
    assert await opened([_Stream(data[0], never)], opener) is opener
    with pytest.raises(RequestRefused, match="no picture"):
        await opened([_Stream(data[0], never)], opener, after=data[1][:300])
    later = RequestRefused(Code.BUSY, "later", retry=True)
    with pytest.raises(RequestRefused, match="later"):
        await opened([_Stream(data[0], later)], opener)


def test_subscribers_share_the_cost() -> None:
    subscribers, one, two = Subscribers(), _Account(), _Account()
    subscribers.charge(1.0)
    subscribers.join(lambda: None, one)
    subscribers.join(print, two)
    subscribers.join(repr, None)  # type: ignore[arg-type]
    subscribers.charge(3.0)
    assert (one.charged, two.charged) == (1.0, 1.0)
