"""What a sender's log says of connections and streams, as an operator's machine reads it."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeDecoders, FakeOpener
from logs import unattended
from serving import pictures, serving, settled
from websocket_client import HELLO, dial, everything

import diffc_client
from diffc_client import MemoryStream, Sender
from diffc_server import SenderDaemon
from diffc_stream.errors import UnknownImage
from diffc_stream.session import Open
from diffc_stream.session.coding import encode
from diffc_stream.transport.logging import start_logging

pytestmark = pytest.mark.asyncio

HOSTILE = 'a.png connection=0 end=complete "} {"event": "all is well'
"""Of what is worse no name can be made: see test_transport_logging."""


@asynccontextmanager
async def logged(folder: Path, log: io.StringIO, form: str = "json") -> AsyncIterator[SenderDaemon]:
    """Run a sender, and have what it says written to ``log``."""
    with unattended():
        start_logging("info", form, log)
        async with serving(folder, FakeOpener(length=5000)) as daemon:
            yield daemon
            await settled(lambda: daemon.connections == 0)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().split("\n")[:-1]]


def of_receivers(log: io.StringIO) -> list[dict[str, Any]]:
    return [facts for facts in lines(log) if facts["logger"] == "diffc_server"]


async def receive(sender: Sender) -> None:
    await sender.receive("a.png", MemoryStream())
    await sender.receive("b.png", MemoryStream(), bytes=1000)
    with pytest.raises(UnknownImage):
        await sender.receive(HOSTILE, MemoryStream())


async def test_a_connection_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    log = io.StringIO()
    async with (
        logged(pictures(tmp_path), log) as daemon,
        diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender,
    ):
        await receive(sender)
    told = of_receivers(log)
    [number] = {facts["connection"] for facts in told}
    assert number
    begun, *streams, ended = told
    assert begun["event"].endswith(" connected")
    first = [facts for facts in streams if facts["image"] == "a.png"]
    assert [facts["stream"] for facts in first] == [1, 1]
    assert (first[1]["bytes"], first[1]["end"]) == (5000, "complete")
    second = [facts for facts in streams if facts["image"] == "b.png"]
    assert (second[1]["stream"], second[1]["bytes"], second[1]["end"]) == (2, 1000, "target")
    [refused] = [facts for facts in streams if facts["stream"] == 3]
    assert (refused["image"], refused["level"]) == (HOSTILE, "warning")
    assert (ended["bytes"], ended["streams"]) == (6000, 3)
    assert ended["seconds"] >= max(first[1]["seconds"], second[1]["seconds"]) >= 0


async def test_streams_that_a_drain_ends_are_of_their_connection(tmp_path: Path) -> None:
    log = io.StringIO()
    async with logged(pictures(tmp_path), log) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        await websocket.recv()
        await websocket.recv()  # the first of its bytes; nothing is acknowledged
        await daemon.drain()
    told = of_receivers(log)
    assert len({facts["connection"] for facts in told}) == 1
    assert [facts["end"] for facts in told if "end" in facts] == ["draining"]


async def test_nobody_makes_up_fields(tmp_path: Path) -> None:
    log = io.StringIO()
    async with (
        logged(pictures(tmp_path), log, "console") as daemon,
        diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender,
    ):
        await receive(sender)
    told = log.getvalue().split("\n")[:-1]
    [line] = [line for line in told if "all is well" in line]
    assert line.endswith(f" stream=3 image={json.dumps(HOSTILE)}")


async def test_every_connection_has_a_number_of_its_own(tmp_path: Path) -> None:
    log = io.StringIO()
    async with logged(pictures(tmp_path), log) as daemon:
        for _ in range(3):
            async with dial(daemon.url) as websocket:
                await websocket.send(HELLO)
                await websocket.recv()
        async with dial(daemon.url) as websocket:
            await websocket.send(b"nonsense")
            await everything(websocket)
    ends = [facts for facts in of_receivers(log) if "seconds" in facts]
    assert len({facts["connection"] for facts in ends}) == 4
    assert [facts["level"] for facts in ends].count("warning") == 1
    [dropped] = [facts["event"] for facts in ends if facts["level"] == "warning"]
    assert " dropped: " in dropped
