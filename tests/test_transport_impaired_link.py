"""Bad links between a client and a server of a few lines, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest
from upstream import FOREVER, SENT, dialled, fetched, listening, now, upstream

from diffc_stream.transport.impaired_link import QUEUE, Link
from diffc_stream.transport.impairment import PERFECT, Impairment

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


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
