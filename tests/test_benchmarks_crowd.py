"""Many receivers on one thread."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from serving import serving

from diffc_benchmarks.crowd import Crowd, Receiver
from diffc_benchmarks.link_transfers import Streams, stream
from diffc_server import SenderDaemon
from diffc_stream.session import Terms

LENGTH = 30_000
SECONDS = 60.0
"""After which a test has failed."""


@pytest.fixture(scope="module")
def data() -> bytes:
    return stream(LENGTH, 0)


@pytest_asyncio.fixture
async def daemon(tmp_path: Path, data: bytes) -> AsyncIterator[SenderDaemon]:
    (tmp_path / "0.dfc").write_bytes(data)
    async with serving(tmp_path, Streams(), terms=Terms(window=16_384)) as daemon:
        yield daemon


async def received(
    daemon: SenderDaemon, receivers: list[Receiver], done: Callable[[], bool]
) -> Crowd:
    crowd = Crowd(daemon.port, receivers)
    assert await asyncio.to_thread(crowd.run, done, seconds=SECONDS)
    crowd.close()
    return crowd


@pytest.mark.asyncio
async def test_every_byte_is_counted_and_hashed(daemon: SenderDaemon, data: bytes) -> None:
    receivers = [Receiver(image="0.dfc") for _ in range(5)]
    crowd = await received(daemon, receivers, lambda: all(one.digests for one in receivers))
    whole = hashlib.sha256(data).hexdigest()
    assert [one.digests for one in receivers] == [[whole]] * 5
    assert (crowd.payload, crowd.failures) == (5 * LENGTH, [])
    assert crowd.frames > LENGTH / 1100


@pytest.mark.asyncio
async def test_the_same_again(daemon: SenderDaemon) -> None:
    one = Receiver(image="0.dfc", again=True)
    await received(daemon, [one], lambda: len(one.digests) >= 2)
    assert len(set(one.digests)) == 1


@pytest.mark.asyncio
async def test_who_reads_nothing_and_who_asks_for_nothing(daemon: SenderDaemon) -> None:
    deaf, silent, eager = receivers = [
        Receiver(image="0.dfc", reads=0),
        Receiver(image=None),
        Receiver(image="0.dfc"),
    ]
    await received(daemon, receivers, lambda: bool(eager.digests) and silent.welcomed)
    assert (deaf.digests, silent.digests, silent.failure) == ([], [], "")


@pytest.mark.asyncio
async def test_a_slow_one_gets_it_too(daemon: SenderDaemon, data: bytes) -> None:
    one = Receiver(image="0.dfc", rate=200_000.0)
    await received(daemon, [one], lambda: bool(one.digests))
    assert one.digests == [hashlib.sha256(data).hexdigest()]


@pytest.mark.asyncio
async def test_what_goes_wrong_is_told(daemon: SenderDaemon) -> None:
    one = Receiver(image="nothing.png")
    crowd = await received(daemon, [one], lambda: bool(one.failure))
    assert crowd.failures == ["unknown-image: nothing.png: there is no picture 'nothing.png' here"]
