"""Bad links that cut, reset, fall silent, flip bits or change."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import suppress

import pytest
from upstream import FOREVER, SENT, dialled, fetched, now, upstream

from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import PERFECT, Break, Impairment

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@pytest.mark.parametrize("after", [0, 1, 4095, 4096, 4097, 10_239])
async def test_a_cut_is_exact_and_told_to_both_ends(after: int) -> None:
    down = Impairment(cut_after=after)
    async with upstream() as server, Link("127.0.0.1", server.port, down=down) as link:
        assert await fetched(link) == SENT[:after]
        assert await server.told.get() == b""
        assert link.carried_down == after


async def test_a_cut_of_the_way_up_is_exact_too() -> None:
    async with (
        upstream(b"") as server,
        Link("127.0.0.1", server.port, up=Impairment(cut_after=7)) as link,
        dialled(link) as (reader, writer),
    ):
        writer.write(b"hello, hello")
        assert await reader.read() == b""
        assert await server.told.get() == b"hello, "
        assert link.carried_up == 7


async def test_a_reset_is_a_reset_for_both_ends() -> None:
    down = Impairment(reset_after=1000, delay=0.5, rate=1000)
    async with upstream() as server, Link("127.0.0.1", server.port, down=down) as link:
        async with dialled(link) as (reader, _):
            assert await reader.readexactly(1000) == SENT[:1000]
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert isinstance(await server.told.get(), ConnectionResetError)


async def test_silence_passes_nothing_and_tells_nobody() -> None:
    down = Impairment(silent_after=1000)
    async with upstream() as server, Link("127.0.0.1", server.port, down=down) as link:
        async with dialled(link) as (reader, writer):
            assert await reader.readexactly(1000) == SENT[:1000]
            writer.write(b"hello")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(FOREVER):
                    await reader.read()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(FOREVER):
                await server.told.get()
        assert (link.carried_down, link.carried_up) == (1000, 0)


async def test_bits_flip_on_the_way() -> None:
    down, up = Impairment(flip_every=1000), Impairment(flips=(7,))
    results = []
    for _ in range(2):
        async with (
            upstream() as server,
            Link("127.0.0.1", server.port, down=down, up=up) as link,
            dialled(link) as (reader, writer),
        ):
            writer.write(b"hello")
            writer.write_eof()
            results.append(await reader.read())
            assert await server.told.get() == b"iello"
    wrong = bytes(a ^ b for a, b in zip(SENT, results[0], strict=True))
    assert 50 < sum(byte.bit_count() for byte in wrong) < 115
    assert results[0] == results[1]


async def test_connections_may_differ() -> None:
    down = [Impairment(cut_after=10), Impairment(reset_after=20), PERFECT]
    async with upstream() as server, Link("127.0.0.1", server.port, down=down) as link:
        assert await fetched(link) == SENT[:10]
        with pytest.raises(ConnectionResetError):
            await fetched(link)
        assert await fetched(link) == await fetched(link) == SENT
        assert link.carried_down == 30 + 2 * len(SENT)
        carried = [connection.down.carried for connection in link.connections]
        assert carried == [10, 20, len(SENT), len(SENT)]


@pytest.mark.parametrize("how", Break)
async def test_connections_are_broken_live(how: Break) -> None:
    async with (
        upstream(bytes(10_000)) as server,
        Link("127.0.0.1", server.port, down=Impairment(rate=1000)) as link,
        dialled(link) as (reader, _),
    ):
        await reader.readexactly(500)
        link.cut(how)
        with suppress(ConnectionResetError, TimeoutError):
            async with asyncio.timeout(FOREVER):
                assert len(await reader.read()) < 100
                assert how is Break.CUT
        with suppress(TimeoutError):
            async with asyncio.timeout(FOREVER):
                told = await server.told.get()
                assert isinstance(told, OSError) == (how is Break.RESET)
                assert how is not Break.SILENCE


async def test_impairments_are_changed_live() -> None:
    async with (
        upstream(bytes(10_000)) as server,
        Link("127.0.0.1", server.port, down=Impairment(rate=1000)) as link,
        dialled(link) as (reader, writer),
    ):
        begun = now()
        await reader.readexactly(1000)
        link.impair(down=Impairment(rate=100, stall_after=0, stall=5.0))
        await reader.readexactly(1000)
        assert now() - begun == pytest.approx(1 + 5 + 10, abs=1.0)
        link.impair(up=Impairment(cut_after=3))
        writer.write(b"hello")
        await reader.read()
        assert await server.told.get() == b"hel"
        link.impair(down=PERFECT)
        begun = now()
        async with dialled(link) as (later, _):
            assert len(await later.readexactly(10_000)) == 10_000
        assert now() == begun


async def test_nobody_upstream() -> None:
    async with upstream() as server:
        pass
    async with Link("127.0.0.1", server.port) as link:
        with pytest.raises(ConnectionResetError):
            await fetched(link)
    assert link.carried_down == 0


async def test_a_shortage_of_descriptors_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    short = OSError(errno.EMFILE, "Too many open files")
    loop = asyncio.get_running_loop()
    accept = loop.sock_accept
    errors: list[OSError] = []

    async def accept_later(listener: socket.socket) -> object:
        if errors:
            raise errors.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", accept_later)
    async with (
        upstream() as server,
        Link("127.0.0.1", server.port, recorded=False) as link,
        dialled(link) as (reader, _),
    ):
        assert await reader.readexactly(len(SENT)) == SENT
        errors += [short, OSError(errno.ECONNABORTED, "gone already"), short]
        # The accept under way takes this one, and the next waits out the shortage.
        assert await fetched(link) == SENT
        assert await fetched(link) == SENT
        assert errors == []
        with monkeypatch.context() as patch:

            def refuse(_family: int) -> socket.socket:
                raise short

            patch.setattr(link, "_socket", refuse)
            with pytest.raises(ConnectionResetError):
                await fetched(link)
        assert link.open == 1
        assert await fetched(link) == SENT


async def test_a_client_that_vanishes_is_a_reset_for_the_server() -> None:
    async with (
        upstream() as server,
        Link("127.0.0.1", server.port, down=Impairment(rate=100)) as link,
    ):
        async with dialled(link) as (reader, writer):
            await reader.readexactly(100)
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert isinstance(await server.told.get(), ConnectionResetError)


async def test_a_client_that_leaves_is_told_to_the_server_after_the_delay() -> None:
    up = Impairment(delay=2.0)
    async with upstream() as server, Link("127.0.0.1", server.port, up=up) as link:
        async with dialled(link) as (reader, _):
            await reader.read()
        begun = now()
        assert await server.told.get() == b""
        assert now() - begun == pytest.approx(2.0)
