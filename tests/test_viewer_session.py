"""The receiver in JavaScript, run by Node, with a sender daemon, over links good and bad."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeOpener, stream_of
from serving import Impaired, pictures, serving

from diffc_stream.transport.impairment import PERFECT, Impairment

HERE = Path(__file__).parent
NODE = shutil.which("node")
READY = NODE is not None and (HERE.parent / "client/viewer/js/node_modules").is_dir()
LENGTH = 5000
FRAME = 1200
"""Bytes of a message, at most; what is under way when a link is cut is sent again."""

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(
        not (READY or os.environ.get("CI")), reason="npm ci in client/viewer/js has not been run"
    ),
]


async def receive(port: int, *streams: dict[str, object]) -> dict[str, Any]:
    """Return what a receiver in Node says of so many streams asked for at once."""
    assert NODE is not None
    told = json.dumps({"url": f"ws://127.0.0.1:{port}", "streams": streams})
    process = await asyncio.create_subprocess_exec(
        *(NODE, "--experimental-websocket", HERE / "receiver.mjs", told),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(printed)
    return found


async def test_streams_and_a_catalogue_over_one_connection(tmp_path: Path) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LENGTH)) as daemon:
        held = stream_of("b.png", 1000).hex()
        found = await receive(
            daemon.port,
            {"name": "a.png", "weight": 2},
            {"name": "b.png", "held": held, "bytes": 3000},
            {"name": "nothing.png"},
            {"name": "sub/c.jpg", "held": "ff"},
        )
    assert found["names"] == ["a.png", "b.png", "sub/c.jpg"]
    whole, rest, unknown, other = found["results"]
    assert whole["reason"] == "complete"
    assert bytes.fromhex(whole["bytes"]) == stream_of("a.png", LENGTH)
    assert (rest["reason"], rest["length"]) == ("target", 3000)
    assert bytes.fromhex(rest["bytes"]) == stream_of("b.png", 3000)[1000:]
    assert (unknown["error"], unknown["code"]) == ("UnknownImage", "unknown-image")
    assert (other["error"], other["code"]) == ("PeerError", "prefix-mismatch")
    assert found["connections"] == 1
    assert found["said"] == ["connected", "closed"]


async def test_a_link_that_is_cut_again_and_again(tmp_path: Path, impaired: Impaired) -> None:
    # From within WELCOME on: Node does not notice that it loses a connection in its handshake.
    cuts = [*(Impairment(cut_after=after) for after in (300, 400, 700, 1500, 2500)), PERFECT]
    async with serving(pictures(tmp_path), FakeOpener(length=LENGTH)) as daemon:
        link = await impaired(daemon, down=cuts)
        found = await receive(link.port, {"name": "a.png"}, {"name": "b.png"})
    for name, result in zip(("a.png", "b.png"), found["results"], strict=True):
        assert (result["reason"], result["length"]) == ("complete", LENGTH)
        assert bytes.fromhex(result["bytes"]) == stream_of(name, LENGTH)
    assert any(status.startswith("waiting: ") for status in found["said"])
    assert found["wire"] < 1.05 * 2 * LENGTH + len(cuts) * FRAME


async def test_a_stop_is_heard_within_the_window(tmp_path: Path, impaired: Impaired) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=200_000, piece=1000)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=100_000), up=Impairment(rate=100_000))
        found = await receive(link.port, {"name": "a.png", "stop": 5000})
    [result] = found["results"]
    assert result["reason"] == "stopped"
    assert 5000 <= result["stoppedAt"] <= result["length"] <= result["stoppedAt"] + 8192
    assert bytes.fromhex(result["bytes"]) == stream_of("a.png", result["length"])
    assert found["roundTrip"] > 0
