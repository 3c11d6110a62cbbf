"""Sockets that count whoever comes, before TLS and before any request."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import socket
import ssl
import tracemalloc
from asyncio import sslproto
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from authority import issue
from fakes import FakeOpener
from http_client import head_of, request
from serving import pictures, serving, settled
from visitors import upgrade
from websocket_client import HELLO, dial, heard
from websockets.asyncio.server import ServerConnection

from diffc_server import Catalogue, Pipeline, SenderDaemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_stream.session import Welcome
from diffc_stream.transport.admission import LEAST_NEWCOMERS
from diffc_stream.transport.listener import _bound, _Doorway

pytestmark = pytest.mark.asyncio

FILES = Path("/proc/self/fd")
"""Where Linux lists the open files of a process."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@asynccontextmanager
async def mute(port: int, number: int, say: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """Connect and say nothing more; afterwards hang up."""
    held: list[socket.socket] = []
    try:
        for _ in range(number):
            one = socket.socket()
            held.append(one)
            one.setblocking(False)
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
            one.send(say)
        yield held
    finally:
        for one in held:
            one.close()


async def served(port: int, host: str = "127.0.0.1", trust: ssl.SSLContext | None = None) -> int:
    reader, writer = await asyncio.open_connection(host, port, ssl=trust)
    writer.write(request("/a.png.dfc"))
    status, _ = await head_of(reader)
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return status


def open_files() -> int:
    return sum(1 for _ in FILES.iterdir())


@pytest.mark.parametrize("say", [b"", b"G", request("/a.png.dfc")[:-2]])
async def test_who_says_nothing_keeps_nobody_out(folder: Path, say: bytes) -> None:
    async with (
        serving(folder, connections=4) as daemon,
        mute(daemon.port, 5 * LEAST_NEWCOMERS, say),
    ):
        assert await served(daemon.port) == 200
        async with dial(daemon.url) as websocket:
            await websocket.send(HELLO)
            assert isinstance(await heard(websocket), Welcome)
        assert daemon.admission.newcomers <= LEAST_NEWCOMERS


@pytest.mark.parametrize("say", [b"", b"\x16\x03\x01\x02\x00"])
async def test_handshakes_count_too(folder: Path, tmp_path: Path, say: bytes) -> None:
    issued = issue(tmp_path)
    async with (
        serving(folder, connections=4, certificate=issued.certificate) as daemon,
        mute(daemon.port, 3 * LEAST_NEWCOMERS, say),
    ):
        await settled(lambda: daemon.admission.dropped >= 2 * LEAST_NEWCOMERS)
        assert daemon.admission.newcomers <= LEAST_NEWCOMERS
        assert not daemon._open  # nobody has got as far as TLS
        await settled(lambda: daemon.admission.open <= LEAST_NEWCOMERS)


async def test_an_address_has_its_share_of_newcomers(folder: Path) -> None:
    reception = AccessControl(limits=Limits(connections=3))
    async with serving(folder, reception=reception) as daemon, mute(daemon.port, 20):
        await settled(lambda: daemon.admission.dropped == 17)
        assert daemon.admission.newcomers == 3
        assert await served(daemon.port) == 200


async def test_guests_stay_however_many_newcomers_come(folder: Path) -> None:
    async with serving(folder, connections=2) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        assert isinstance(await heard(websocket), Welcome)
        async with mute(daemon.port, 3 * LEAST_NEWCOMERS):
            await settled(lambda: daemon.admission.dropped >= 2 * LEAST_NEWCOMERS)
            assert (await websocket.ping()) is not None
            assert daemon.admission.guests == 1


async def test_a_full_house_is_told_in_words(folder: Path) -> None:
    async with serving(folder, connections=1) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await heard(websocket)
        assert await served(daemon.port) == 503
        assert daemon.metrics.turned_away["full"] == 1


@pytest.mark.parametrize("say", [b"", b"\x16\x03\x01\x02\x00"])
@pytest.mark.parametrize("killed", [False, True])
async def test_the_end_waits_for_handshakes_or_ends_them(
    folder: Path, tmp_path: Path, say: bytes, killed: bool
) -> None:
    daemon = SenderDaemon(
        Catalogue(folder),
        Pipeline(FakeOpener()),
        certificate=issue(tmp_path).certificate,
        grace=0.05,
    )
    async with daemon, mute(daemon.port, 3, say):
        await settled(lambda: daemon.admission.newcomers == 3)
        assert not daemon._open
        await (daemon.abort() if killed else daemon.drain())
        assert daemon.admission.open == 0


async def test_who_comes_while_it_is_closed_is_not_dropped_open(folder: Path) -> None:
    async with serving(folder) as daemon:
        assert daemon._listener is not None
        with socket.create_connection(("127.0.0.1", daemon.port)):
            await asyncio.sleep(0)  # the event loop is about to accept it
            daemon._listener.close()
            await daemon.abort()
    assert daemon.admission.open == 0


class Short:
    """Stands for a system that has no descriptors left, for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = errno.EMFILE) -> None:
        self.asked = 0
        self.short = True
        accept = socket.socket.accept

        def accepting(listening: socket.socket) -> tuple[socket.socket, object]:
            if isinstance(listening, _Doorway) and self.short:
                self.asked += 1
                raise OSError(number, os.strerror(number))
            return accept(listening)

        monkeypatch.setattr(socket.socket, "accept", accepting)


@pytest.mark.virtual_time
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_a_shortage_neither_spins_nor_lasts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    async with serving(folder) as daemon:
        short = Short(monkeypatch, number)
        answer = asyncio.create_task(served(daemon.port))
        await asyncio.sleep(30)
        assert not answer.done()
        # Once a second, and at first for each descriptor that was kept for this.
        assert 10 < short.asked < 60
        short.short = False
        assert await answer in (200, 503)
        daemon.admission.refill()
        assert await served(daemon.port) == 200
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "connections have to wait" in told[0].getMessage()
    assert told[0].exc_info is None


async def test_who_comes_while_files_are_short_is_told_so(folder: Path) -> None:
    async with serving(folder) as daemon:
        assert daemon._spare.lend()
        assert await served(daemon.port) == 503
        assert daemon.metrics.turned_away["short"] == 1
        # What was lent came back when a connection had closed.
        await settled(lambda: not daemon.admission.pressed)
        assert await served(daemon.port) == 200


@pytest.fixture
def collected() -> Iterator[None]:
    gc.collect()
    yield
    gc.collect()


async def abuse(daemon: SenderDaemon, kind: str) -> None:
    """Let peers behave badly, forty of them, and go."""
    say = {"idle": b"", "half": b"GET / HTTP", "nonsense": b"\x00\xff" * 50}.get(kind, b"")
    async with mute(daemon.port, 40, say) as held:
        if kind == "reset":
            for one in held:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if kind == "half-closed":
            for one in held:
                one.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0)
    await settled(lambda: daemon.admission.open == 0 and not daemon._open)


@pytest.mark.skipif(not FILES.is_dir(), reason="counts open files in /proc")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", ["idle", "half", "nonsense", "reset", "half-closed"])
async def test_nothing_is_left_of_abuse(
    folder: Path,
    tmp_path: Path,
    kind: str,
    secure: bool,
    collected: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate = issue(tmp_path).certificate if secure else None
    async with serving(folder, connections=10, certificate=certificate) as daemon:
        await abuse(daemon, kind)  # whatever is loaded once is loaded now
        gc.collect()
        before = open_files(), len(asyncio.all_tasks())
        tracemalloc.start()
        await abuse(daemon, kind)
        gc.collect()
        memory, _ = tracemalloc.get_traced_memory()
        for _ in range(2):
            await abuse(daemon, kind)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - memory
        tracemalloc.stop()
        await settled(lambda: len(asyncio.all_tasks()) <= before[1])
        assert (open_files(), len(asyncio.all_tasks())) == before
        assert grown < 100_000
    assert not [record for record in caplog.records if record.exc_info]
    assert len(caplog.records) <= 2


@pytest.mark.parametrize("kind", ["idle", "nonsense", "reset", "timeout"])
async def test_a_failed_handshake_is_freed_without_the_collector(
    folder: Path, tmp_path: Path, kind: str, collected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "timeout":
        monkeypatch.setattr("diffc_server.daemon.OPENING", 0.01)
    certificate = issue(tmp_path).certificate
    async with serving(folder, certificate=certificate) as daemon:
        gc.disable()
        try:
            if kind == "timeout":
                async with mute(daemon.port, 40) as held:
                    for one in held:
                        assert not await asyncio.get_running_loop().sock_recv(one, 1)
            else:
                await abuse(daemon, kind)
            await settled(lambda: not any(map(is_of_tls, gc.get_objects())))
            # asyncio's transports refer to themselves, with a dozen small objects.
            assert gc.collect() < 40 * 15
        finally:
            gc.enable()


def is_of_tls(thing: object) -> bool:
    kinds = (sslproto.SSLProtocol, ssl.SSLObject, ServerConnection)
    return issubclass(type(thing), kinds)  # isinstance() would ask proxies


async def test_localhost_is_all_that_it_stands_for(folder: Path) -> None:
    async with SenderDaemon(Catalogue(folder), Pipeline(FakeOpener()), host="") as daemon:
        assert await served(daemon.port) == 200
        assert daemon.port == daemon._listener.sockets[0].getsockname()[1]  # type: ignore[union-attr]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
@pytest.mark.parametrize("host", ["", "::"])
async def test_all_addresses_are_those_of_both_families(folder: Path, host: str) -> None:
    async with SenderDaemon(Catalogue(folder), Pipeline(FakeOpener()), host=host) as daemon:
        assert await served(daemon.port) == 200
        assert await served(daemon.port, "::1") == 200


async def test_a_port_that_is_taken(folder: Path) -> None:
    async with serving(folder) as daemon:
        with pytest.raises(OSError, match="address"):
            async with serving(folder, port=daemon.port):
                pass


RESET = b"\1\0\0\0\0\0\0\0"
"""What a socket's SO_LINGER is for its closing to be a reset."""


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_resets_are_nobodys_errors(
    folder: Path, tmp_path: Path, secure: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whenever they come: while a WebSocket is open, a stream under way, or an answer written."""
    issued = issue(tmp_path)
    trust = ssl.create_default_context(cafile=issued.ca) if secure else None
    certificate = issued.certificate if secure else None
    opener = FakeOpener(length=500_000)
    async with serving(folder, opener, certificate=certificate) as daemon:
        for number in range(12):
            reader, writer = await asyncio.open_connection(
                "localhost" if secure else "127.0.0.1", daemon.port, ssl=trust
            )
            await asyncio.sleep(0)
            match number % 3:
                case 0:
                    writer.write(request("/a.png.dfc"))
                case 1:
                    writer.write(request("/a.png.dfc"))
                    await reader.read(100)
                case 2:
                    writer.write(request("/", *upgrade("127.0.0.1")))
                    await reader.read(100)
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await settled(lambda: daemon.admission.open == 0)
        assert await served_as(daemon, trust) == 200
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
async def test_what_is_no_hosts_name_is_said_in_a_line(host: str) -> None:
    with pytest.raises(OSError, match=f"cannot listen on '{host}': it is no host's name"):
        await _bound(host, 0, reuse_port=False)


async def served_as(daemon: SenderDaemon, trust: ssl.SSLContext | None) -> int:
    return await served(daemon.port, "localhost" if trust else "127.0.0.1", trust)
