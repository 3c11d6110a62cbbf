"""What the measurement of a drain reads from senders' logs."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener
from logs import unattended
from serving import pictures, serving, settled

import diffc_client
from diffc_benchmarks.load_drain import _most_within, _read
from diffc_client import MemoryStream
from diffc_stream.transport.logging import start_logging


@pytest.mark.asyncio
async def test_what_a_sender_sent_is_in_its_log(tmp_path: Path) -> None:
    log, began = io.StringIO(), datetime.now(UTC)
    with unattended():
        start_logging("info", "json", log)
        async with serving(pictures(tmp_path), FakeOpener(length=5000)) as daemon:
            async with diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender:
                await sender.receive("a.png", MemoryStream())
                await sender.receive("b.png", MemoryStream(), bytes=1000)
            await settled(lambda: daemon.connections == 0)
    file = tmp_path / "sender.log"
    file.write_text(log.getvalue())
    sent = _read(file)
    assert (sent.payload, sent.drained) == (6000, 0)
    [came] = sent.came
    assert began <= came <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([1.0], 1), ([1.0, 1.05, 1.09, 1.11], 3), ([1.0, 1.2, 1.4], 1)],
)
def test_how_many_come_at_once(times: list[float], most: int) -> None:
    assert _most_within(times, 0.1) == most
