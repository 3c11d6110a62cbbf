"""Requests that are none, late, too many, or under way when the daemon leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fakes import FakeOpener, stream_of
from http_client import ask, asking, head_of, request, unchunked
from serving import pictures, serving, settled
from websocket_client import dial

from diffc_server import Pipeline
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_server.encoding.shared_stream import SharedStream
from diffc_server.websocket.handshake import IncomingConnection

LENGTH = 5000
STREAM = stream_of("a.png", LENGTH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = pictures(tmp_path)
    (folder / "ready.dfc").write_bytes(stream_of("ready.dfc", LENGTH))
    (folder / "broken.png").write_bytes(b"broken")
    return folder


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("junk", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 9000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (request("/a.png.dfc", "Content-Length: 3", method="POST") + b"abc", b""),
        (b"\x16\x03\x01\r\n\r\n", b""),
    ],
    ids=["line", "header", "headers", "body", "tls"],
)
async def test_junk(folder: Path, junk: bytes, status: bytes) -> None:
    async with serving(folder) as daemon:
        async with asking(daemon, junk) as reader:
            try:
                assert (await reader.readline()).split(b" ")[1:2] == ([status] if status else [])
            except ConnectionError:
                assert not status
        assert (await ask(daemon, "/a.png.dfc")).status == 200


@pytest.mark.asyncio
async def test_one_request_and_no_more(folder: Path) -> None:
    twice = request("/a.png.dfc") * 2
    async with serving(folder) as daemon:
        async with asking(daemon, twice) as reader:
            with suppress(ConnectionError):
                assert await reader.read() == b""
        await settled(lambda: daemon.connections == 0)


@pytest.mark.asyncio
async def test_a_request_that_does_not_come(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_server.websocket.handshake.OPENING", 0.01)
    async with serving(folder) as daemon, asking(daemon, b"GET /a.png.dfc HT") as reader:
        with suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.asyncio
async def test_an_answer_may_take_longer_than_a_request(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        answering = asyncio.create_task(ask(daemon, "/a.png.dfc"))
        await settled(lambda: daemon.connections == 1)
        [handler] = daemon._requests
        assert isinstance(handler._connection, IncomingConnection)
        assert handler._connection.deadline.when() is None
        gate.release(100)
        assert (await answering).body == STREAM


@pytest.mark.asyncio
async def test_requests_count_as_connections(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate), connections=1) as daemon:
        first = asyncio.create_task(ask(daemon, "/a.png.dfc"))
        await settled(lambda: daemon.connections == 1)
        assert (await ask(daemon, "/ready.dfc")).status == 503
        gate.release(100)
        assert (await first).body == STREAM
        await settled(lambda: daemon.connections == 0)
        async with dial(daemon.url):
            await settled(lambda: daemon.connections == 1)
            assert (await ask(daemon, "/ready.dfc")).status == 503


@pytest.mark.asyncio
async def test_too_many_pictures(folder: Path) -> None:
    gate = threading.Semaphore(0)
    pipeline = Pipeline(FakeOpener(gate=gate), slots=1, queue=0)
    async with serving(folder, pipeline=pipeline) as daemon:
        async with asking(daemon, request("/a.png.dfc")):
            await settled(lambda: pipeline.slots.in_use == 1)
            answer = await ask(daemon, "/b.png.dfc")
            assert (answer.status, answer.fields["Retry-After"]) == (503, "5")
        gate.release(100)


@pytest.mark.asyncio
async def test_draining_waits_for_no_encoder(folder: Path) -> None:
    gate = threading.Semaphore(2)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        waiting = asyncio.create_task(ask(daemon, "/a.png.dfc", "Range: bytes=4000-4999"))
        async with asking(daemon, request("/a.png.dfc")) as reader:
            assert (await head_of(reader))[0] == 200
            await settled(lambda: daemon.connections == 2)
            await daemon.drain()
            assert (await waiting).status == 503
            with pytest.raises((ConnectionError, AssertionError, ValueError)):
                unchunked(await reader.read())
        gate.release(100)


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["the encoder fails", "the drain takes too long"])
async def test_what_only_the_close_ends_is_reset_if_it_breaks_off(folder: Path, how: str) -> None:
    """Else a client of HTTP/1.0 would take a part for the whole."""
    gate = threading.Semaphore(3)
    opener = Failing(gate=gate) if how == "the encoder fails" else FakeOpener(gate=gate)
    async with serving(folder, opener) as daemon:
        with pytest.raises(ConnectionResetError):
            async with asking(daemon, request("/a.png.dfc", version="1.0")) as reader:
                status, fields = await head_of(reader)
                assert (status, "Content-Length" in fields) == (200, False)
                if how == "the encoder fails":
                    gate.release(100)
                else:
                    daemon._cut_off()
                await reader.read()
        gate.release(100)


class Failing(FakeOpener):
    """Has a bug after half of the stream."""

    def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
        for number, piece in enumerate(super()._pieces(name, model, first)):
            if number == 8:
                raise RuntimeError("a bug in the encoder")
            yield piece


@pytest.mark.asyncio
async def test_aborting_waits_for_nothing(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        async with asking(daemon, request("/a.png.dfc")) as reader:
            await settled(lambda: daemon.connections == 1)
            await daemon.abort()
            with suppress(ConnectionError):
                assert await reader.read() == b""
        gate.release(100)


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_what_is_too_much_waits_here_too(folder: Path) -> None:
    clock = asyncio.get_running_loop().time
    reception = AccessControl(limits=Limits(bytes_per_second=500.0), clock=clock)
    async with serving(folder, FakeOpener(length=20_000), reception=reception) as daemon:
        began = clock()
        answer = await ask(daemon, "/a.png.dfc")
        assert answer.body == stream_of("a.png", 20_000)
        assert 20 < clock() - began < 40


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_is_in_use_while_its_tag_is_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Or memory might drop it meanwhile, and count what it grows by for ever."""
    idle, tag = [], SharedStream.tag

    async def noted(self: SharedStream) -> str:
        idle.append(self.idle)
        return await tag(self)

    monkeypatch.setattr(SharedStream, "tag", noted)
    async with serving(folder) as daemon:
        assert (await ask(daemon, "/a.png.dfc", method=method)).status == 200
    assert idle == [False]
