"""The measurement of mirrors, in small, and with both ends in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from serving import serving

from diffc_benchmarks import link_transfers, load_mirror
from diffc_benchmarks.link_transfers import Streams
from diffc_client import Address, Mirror
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment


@asynccontextmanager
async def connected(
    folder: Path, kept: Path, thin: list[Impairment], back: Impairment, *, dialling: bool
) -> AsyncIterator[tuple[Link, str]]:
    """Stand in for daemons."""
    assert not dialling
    async with (
        serving(folder, Streams()) as daemon,
        Link("127.0.0.1", daemon.port, down=thin, up=back) as link,
        Mirror(kept, backoff=Backoff(first=0.05, patience=None)) as mirror,
    ):
        running = asyncio.create_task(mirror.run(Address.parse(f"ws://127.0.0.1:{link.port}")))
        yield link, json.dumps({"url": daemon.url})
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.asyncio
async def test_a_mirror_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_mirror, "stream", link_transfers.stream)
    monkeypatch.setattr(load_mirror, "SLOWLY", 0.1)
    monkeypatch.setattr(load_mirror, "_connected", connected)
    said: list[str] = []
    figures = await load_mirror.mirrored(
        said.append,
        dialling=False,
        rate=10_000.0,
        cuts=2,
        streams=3,
        length=1500,
        pictures=0,
        delay=0.0,
    )
    assert said[1:] == [
        "3 streams and 0 pictures over 10000 bytes/s",
        *("a picture is added", "one is replaced", "one is added slowly"),
    ]
    assert figures["streams equal byte for byte"] == {"asked": 5, "got": 5}
    assert figures["files beside them"] == {"asked": 0, "got": 0}
    assert figures["cuts"] == {"asked": 2, "got": 2}
