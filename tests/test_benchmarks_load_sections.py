"""What many receivers do to a sender: the sections that measure it, small, on a sender in here."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from serving import serving

from diffc_benchmarks import load_downloads, load_frames, load_idle, load_slow
from diffc_benchmarks.link_transfers import Streams
from diffc_benchmarks.process import Process, running
from diffc_stream.session import Terms
from diffc_stream.transport.tls import Certificate

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc"
)


@asynccontextmanager
async def within(folder: Path, *options: str) -> AsyncIterator[Process]:
    """Serve a folder on this very loop."""
    told = dict(zip(options[::2], options[1::2], strict=True))
    terms = Terms(window=int(told["--window"])) if "--window" in told else None
    certificate = None
    if "--tls-cert" in told:
        certificate = Certificate(Path(told["--tls-cert"]), Path(told["--tls-key"]))
    async with serving(folder, Streams(), terms=terms, certificate=certificate) as daemon:
        yield Process(pid=os.getpid(), port=daemon.port)


def got(figures: Mapping[str, object], name: str) -> object:
    figure = figures[name]
    assert isinstance(figure, dict)
    assert "asked" in figure
    return figure["got"]


@pytest.mark.asyncio
async def test_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_downloads, "sending", within)
    monkeypatch.setattr(load_downloads, "RECEIVERS", 10)
    said: list[str] = []
    figures = await load_downloads.measure(said.append)
    assert said == ["10 receivers"]
    assert got(figures, "errors") == 0
    assert figures["what went wrong"] == []
    assert figures["bytes of payload"] == 2 * sum(load_downloads.LENGTHS)
    json.dumps(figures)


@pytest.mark.asyncio
async def test_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_idle, "sending", within)
    for name, value in {"RECEIVERS": 3, "LENGTH": 20_000, "SETTLING": 0.0}.items():
        monkeypatch.setattr(load_idle, name, value)
    figures = await load_idle.measure(lambda _: None)
    assert list(figures) == [
        "bytes each, idle",
        "bytes each, stalled, having read nothing",
        "bytes each, stalled in the middle",
        "bytes each, idle over TLS",
    ]
    assert all(isinstance(got(figures, name), int) for name in figures)


@pytest.mark.asyncio
async def test_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_frames, "sending", within)
    for name, value in {"WARM_UP": 0.1, "SECONDS": 0.1, "ROUNDS": 1, "GALLERY": 3}.items():
        monkeypatch.setattr(load_frames, name, value)
    figures = await load_frames.measure(lambda _: None)
    assert list(figures) == [
        "DATA frames of 1 kB per second",
        "30 receivers of a stream each",
        "4 receivers of 3 streams each",
        "websockets alone, one frame over and over",
    ]
    json.dumps(figures)


@pytest.mark.asyncio
async def test_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_slow, "sending", within)
    for name, value in {"WARM_UP": 0.0, "SECONDS": 0.0, "ROUNDS": 2}.items():
        monkeypatch.setattr(load_slow, name, value)
    said: list[str] = []
    figures = await load_slow.measure(said.append)
    assert said == ["round 1 of 2", "round 2 of 2"]
    assert len(figures) == 7
    json.dumps(figures)


@pytest.mark.asyncio
async def test_a_server_that_does_not_start() -> None:
    with pytest.raises(OSError, match="diffc_nothing did not start"):
        async with running("diffc_nothing"):
            pass
