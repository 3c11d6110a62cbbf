"""Transfers over bad links: what is counted is what happened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from diffc_benchmarks import link_transfers as transfers
from diffc_client import MemoryStream
from diffc_stream.container import Check, Header, StreamReader
from diffc_stream.session import Reason
from diffc_stream.transport.impairment import Impairment


def nothing(_done: int, _of: int) -> None:
    """Watch no progress."""


@pytest.mark.parametrize("length", [1, 20, 700, 30_000])
def test_streams_obey_the_grammar(length: int) -> None:
    data = transfers.stream(length, 1)
    assert len(data) == length
    assert data == transfers.stream(length + 100, 1)[:length]
    events = list(StreamReader().feed(data))
    assert [type(event) for event in events[:1]] == ([Header] if length > 15 else [])
    assert all(event.good for event in events if isinstance(event, Check))


def test_streams_differ_by_seed() -> None:
    assert transfers.stream(500, 1) != transfers.stream(500, 2)


@pytest.mark.asyncio
async def test_a_link_carries_a_stream(tmp_path: Path) -> None:
    data = transfers.stream(3000, 1)
    (tmp_path / "a.dfc").write_bytes(data)
    async with transfers.linked(tmp_path) as (sender, link):
        kept = transfers.Counted()
        assert await sender.receive("a.dfc", kept) is Reason.COMPLETE
        assert kept.read() == data
        assert sum(size for _, size in kept.frames) == 3000
        assert link.carried_down > 3000


@pytest.mark.asyncio
async def test_random_cuts_are_all_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "LONG", 5000)
    seen: list[tuple[int, int]] = []
    result = await transfers.cut_at_random(tmp_path, 7, 0, lambda *done: seen.append(done))
    assert result.connections >= 7 + result.transfers - 1
    assert result.equal == result.transfers
    assert result.bytes_taken == result.bytes_wanted == 5000 * result.transfers
    assert seen[-1] == (7, 7)


@pytest.mark.asyncio
async def test_every_byte_is_cut_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "SHORT", 40)
    result = await transfers.cut_everywhere(tmp_path, nothing)
    assert result.equal == result.transfers > 300  # the handshake is cut too
    # Where nothing was answered, one more connection sees whether TLS is spoken there.
    assert 2 * result.transfers <= result.connections <= 3 * result.transfers
    assert result.bytes_taken == result.bytes_wanted == 40 * result.transfers


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_slow_link_is_alive(tmp_path: Path) -> None:
    result = await transfers.slow(tmp_path, rate=20_000, round_trip=0.02, seconds=1)
    assert result.alive
    assert 5000 < result.payload < result.down < 20_000 * 1.2
    assert result.share == result.payload / result.down > result.share_of_both > 0.8
    assert 100 < result.frame <= 1100
    assert 1024 <= result.window <= 8192


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_little_comes_after_a_stop(tmp_path: Path) -> None:
    result = await transfers.stopped(tmp_path, rate=50_000, delay=0.01, after=0.3)
    assert 0 <= result.late <= result.window + 200


@pytest.mark.asyncio
async def test_overhead_is_that_of_frames_and_acknowledgements(tmp_path: Path) -> None:
    result = await transfers.overhead(tmp_path, 1024)
    assert sum(result.frames) == 1024
    frames = sum(12 if size > 125 else 10 for size in result.frames)
    end = 2 + 1 + 1 + 1 + 7 + 3
    assert abs(result.down - (1024 + frames + end)) <= 3
    acknowledgements = 6 + 1 + 1 + 3 + 3
    assert result.up == acknowledgements
    assert result.ratio == (result.down + result.up) / 1024 < 1.06


@pytest.mark.asyncio
async def test_nobody_decodes(tmp_path: Path) -> None:
    (tmp_path / "a.dfc").write_bytes(transfers.stream(100, 1))
    async with transfers.linked(tmp_path, down=Impairment(delay=0.001)) as (sender, _link):
        await sender.receive("a.dfc", MemoryStream())
        with pytest.raises(NotImplementedError):
            await anext(sender.open("a.dfc"))
    await asyncio.sleep(0)
