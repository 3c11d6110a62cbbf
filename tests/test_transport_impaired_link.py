"""Bad links between a client and a server of a few lines, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from diffc_stream.transport.impaired_link import QUEUE, Link
from diffc_stream.transport.impairment import PERFECT, Break, Impairment

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

SENT = bytes(range(256)) * 40
FOREVER = 1e6
"""Seconds, and virtual ones."""


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """A server that sends ``sent`` to whoever connects, and knows what became of it."""

    def __init__(self, sent: bytes, buffer: int | None) -> None:
        self.port = 0
        self.said = 0
        """Bytes of ``sent`` that the operating system took."""
        self.told: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        """What each connection was told, once it has ended, or how it failed."""
        self._sent = sent
        self._buffer = buffer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._talk(writer))
            try:
                self.told.put_nowait(await reader.read())
            except OSError as error:
                self.told.put_nowait(error)

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        if self._buffer is not None:
            writer.transport.set_write_buffer_limits(0)
            used: socket.socket = writer.get_extra_info("socket")
            used.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
        with suppress(OSError):
            for start in range(0, len(self._sent), 512):
                writer.write(self._sent[start : start + 512])
                await writer.drain()
                self.said += 512
            writer.write_eof()


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """Serve by ``handler`` on the port that this yields, and leave no connection behind."""
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.create_task(handle(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


@asynccontextmanager
async def upstream(sent: bytes = SENT, buffer: int | None = None) -> AsyncIterator[Upstream]:
    made = Upstream(sent, buffer)
    async with listening(made.serve) as made.port:
        yield made


@asynccontextmanager
async def dialled(link: Link) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def fetched(link: Link) -> bytes:
    """All that comes over a connection until it is closed."""
    async with dialled(link) as (reader, _):
        return await reader.read()


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_perfect_link_changes_nothing() -> None:
    async with upstream() as server, Link("127.0.0.1", server.port) as link:
        begun = now()
        async with dialled(link) as (reader, writer):
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == SENT
            assert await server.told.get() == b"hello"
        assert now() == begun
    assert (link.carried_down, link.carried_up) == (len(SENT), 5)


@pytest.mark.parametrize("rate", [100, 2000, 10_000_000])
async def test_a_slow_link_takes_its_time(rate: float) -> None:
    sent = SENT[:2000]
    down = Impairment(rate=rate)
    async with upstream(sent) as server, Link("127.0.0.1", server.port, down=down) as link:
        begun = now()
        assert await fetched(link) == sent
        assert now() - begun == pytest.approx(len(sent) / rate)
        arrivals = link.connections[0].down.arrivals
    assert sum(size for _, size in arrivals) == len(sent)
    assert arrivals[-1][0] - begun == pytest.approx(len(sent) / rate)
    for time, size in arrivals[1:]:
        assert size <= max(1, rate / 20)
        assert time > begun


async def test_the_other_way_is_slow_when_told_to() -> None:
    async with (
        upstream() as server,
        Link("127.0.0.1", server.port, up=Impairment(rate=100)) as link,
        dialled(link) as (reader, writer),
    ):
        begun = now()
        assert await reader.readexactly(len(SENT)) == SENT
        assert now() == begun
        writer.write(bytes(1000))
        writer.write_eof()
        assert await server.told.get() == bytes(1000)
        assert now() - begun == pytest.approx(10.0)


async def test_connections_share_the_rate() -> None:
    down = Impairment(rate=1000)
    async with upstream(bytes(2000)) as server, Link("127.0.0.1", server.port, down=down) as link:
        begun = now()
        await asyncio.gather(fetched(link), fetched(link))
        assert now() - begun == pytest.approx(4.0)
        one, other = (connection.down.arrivals[-1][0] for connection in link.connections)
        assert abs(one - other) < 0.2


async def test_a_sender_feels_that_a_link_is_slow() -> None:
    async with (
        upstream(bytes(10**6), buffer=4096) as server,
        Link("127.0.0.1", server.port, down=Impairment(rate=1000)) as link,
        dialled(link) as (reader, _),
    ):
        await reader.readexactly(10_000)
        assert server.said - link.carried_down < 10 * QUEUE  # of which most is in its own socket


async def test_a_sender_feels_that_a_receiver_does_not_read() -> None:
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.setblocking(False)
        async with (
            upstream(bytes(10**7), buffer=4096) as server,
            Link("127.0.0.1", server.port) as link,
        ):
            await asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", link.port))
            await asyncio.sleep(60)
            said = server.said
            await asyncio.sleep(60)
            assert server.said == said < 10**7


async def test_delay_is_no_queue() -> None:
    down, up = Impairment(rate=1000, delay=0.4), Impairment(delay=0.2)
    async with (
        upstream(SENT[:2000]) as server,
        Link("127.0.0.1", server.port, down=down, up=up) as link,
    ):
        begun = now()
        assert await fetched(link) == SENT[:2000]
    # TCP's round trip, the first byte's way, and then the rate as ever.
    assert now() - begun == pytest.approx(0.6 + 0.4 + 2.0)


async def test_delay_takes_a_round_trip_each_time() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    late = Impairment(delay=0.3)
    async with (
        listening(echo) as port,
        Link("127.0.0.1", port, down=late, up=late) as link,
        dialled(link) as (reader, writer),
    ):
        for trips in (2, 1, 1):
            begun = now()
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            assert now() - begun == pytest.approx(0.6 * trips)


async def test_jitter_keeps_order_and_follows_from_the_seed() -> None:
    down = Impairment(delay=1.0, jitter=0.5, piece=100)
    times = []
    for seed in (0, 0, 1):
        async with (
            upstream() as server,
            Link("127.0.0.1", server.port, down=down, seed=seed) as link,
        ):
            begun = now()
            assert await fetched(link) == SENT
        arrivals = link.connections[0].down.arrivals
        times.append([round(time - begun, 6) for time, _ in arrivals])
        assert times[-1] == sorted(times[-1])
        assert 2.0 <= times[-1][0] < times[-1][-1] < 2.5
    assert times[0] == times[1] != times[2]


async def test_a_stall_lets_nothing_pass_for_a_while_and_once() -> None:
    down = Impairment(rate=1000, stall_after=333, stall=30.0)
    async with upstream(bytes(1000)) as server, Link("127.0.0.1", server.port, down=down) as link:
        begun = now()
        async with dialled(link) as (reader, _):
            await reader.readexactly(333)
            assert now() - begun == pytest.approx(0.333)
            await reader.readexactly(1)
            assert 30.333 < now() - begun < 30.4
            await reader.read()
            assert now() - begun == pytest.approx(31.0)


async def test_pieces_are_as_small_as_told() -> None:
    pieces = []
    async with (
        upstream(SENT[:100]) as server,
        Link("127.0.0.1", server.port, down=Impairment(piece=3, rate=1e6)) as link,
        dialled(link) as (reader, _),
    ):
        while piece := await reader.read(100):
            pieces.append(piece)
    assert [len(piece) for piece in pieces] == 33 * [3] + [1]


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


@pytest.mark.parametrize("down", [PERFECT, Impairment(rate=1), Impairment(delay=FOREVER)])
async def test_a_link_is_taken_down_while_it_carries(down: Impairment) -> None:
    before = asyncio.all_tasks()
    async with upstream() as server:
        async with Link("127.0.0.1", server.port, down=down) as link, dialled(link) as ends:
            ends[1].write(b"hello")
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        assert asyncio.all_tasks() == before
    gc.collect()  # what was not closed would be a warning, and so an error


async def test_what_is_not_recorded_takes_no_memory() -> None:
    async with upstream() as server, Link("127.0.0.1", server.port, recorded=False) as link:
        for number in range(1, 4):
            assert await fetched(link) == SENT
            assert link.accepted == number
        async with dialled(link) as (reader, _):
            await reader.readexactly(10)
            assert link.open == 1
            assert link.connections[0].down.arrivals == []
            await reader.read()
        await asyncio.sleep(1)
        assert link.open == 0
        assert (link.connections, link.carried_down) == ([], 4 * len(SENT))


async def test_no_more_connections_than_it_may_have() -> None:
    down = Impairment(stall_after=100, stall=FOREVER)
    async with (
        upstream() as server,
        Link("127.0.0.1", server.port, down=down, most=2) as link,
        dialled(link) as (first, _),
        dialled(link) as (second, _),
    ):
        await first.readexactly(100)
        await second.readexactly(100)
        with pytest.raises(ConnectionResetError):
            await fetched(link)
        assert (link.open, link.accepted) == (2, 2)


async def test_little_is_under_way_however_late_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_stream.transport.impaired_link.MOST_IN_FLIGHT", 2048)
    down = Impairment(delay=60.0)
    async with upstream() as server, Link("127.0.0.1", server.port, down=down) as link:
        async with dialled(link) as (reader, _):
            await reader.readexactly(10)
            way = link.connections[0].down
            assert way._airborne <= 2048 + 2 * QUEUE
            rest = await reader.read()
        assert len(rest) == len(SENT) - 10


async def test_a_name_will_do() -> None:
    async with (
        upstream(b"hello") as server,
        Link("localhost", server.port, listen=("127.0.0.1", 0)) as link,
    ):
        assert await fetched(link) == b"hello"
