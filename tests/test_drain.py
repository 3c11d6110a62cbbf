"""A sender that is told to stop, and what its receivers and its operators notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeDecoders, FakeOpener, stream_of
from serving import pictures, settled
from websocket_client import HELLO, dial, everything, heard

import diffc_client
from diffc_client import MemoryStream
from diffc_server import Catalogue, Pipeline, SenderDaemon
from diffc_stream.session import Data, End, Message, Open, Reason, encode

RECEIVERS = 10
LENGTH = 6000
NAMES = ("a.png", "b.png", "sub/c.jpg")
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: c3RyZWFtcyBvZiBieXRlcw==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: diffc-stream.v1\r\n\r\n"
)


def sender(folder: Path, opener: FakeOpener, port: int = 0, grace: float = 10.0) -> SenderDaemon:
    return SenderDaemon(
        Catalogue(folder), Pipeline(opener), port=port, reuse_port=True, grace=grace
    )


@pytest.mark.asyncio
@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="ports cannot be shared here")
async def test_receivers_go_on_at_the_other_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffc_stream.session.sender.COME_BACK", 0.05)
    folder, gate = pictures(tmp_path), threading.Semaphore(0)
    held = [MemoryStream() for _ in range(RECEIVERS)]

    async def receive(port: int, number: int) -> Reason:
        address = f"ws://127.0.0.1:{port}"
        async with diffc_client.connect(address, decoders=FakeDecoders(), patience=None) as source:
            return await source.receive(NAMES[number % len(NAMES)], held[number])

    async with sender(folder, FakeOpener(length=LENGTH, gate=gate, free=3)) as first:
        tasks = [asyncio.create_task(receive(first.port, number)) for number in range(RECEIVERS)]
        await settled(lambda: all(kept.length for kept in held))
        assert all(0 < kept.length < LENGTH for kept in held)
        async with sender(folder, FakeOpener(length=LENGTH), first.port) as second:
            await first.drain()
            async with asyncio.timeout(60):
                assert await asyncio.gather(*tasks) == [Reason.COMPLETE] * RECEIVERS
            # None is lost, and none was sent twice.
            for number, kept in enumerate(held):
                assert kept.read() == stream_of(Path(NAMES[number % len(NAMES)]).name, LENGTH)
            sent = first.metrics.payload + second.metrics.payload
            assert sent == RECEIVERS * LENGTH
            assert first.metrics.ended["draining"] == RECEIVERS
            assert second.metrics.ended["complete"] == RECEIVERS
        gate.release(100)


@pytest.mark.asyncio
async def test_what_has_been_built_is_sent_and_counted(tmp_path: Path) -> None:
    gate = threading.Semaphore(4)
    folder = pictures(tmp_path)
    async with (
        sender(folder, FakeOpener(gate=gate)) as daemon,
        dial(daemon.url) as websocket,
    ):
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        messages: list[Message] = []
        while not any(isinstance(message, Data) for message in messages):
            messages.append(await heard(websocket))
        draining = asyncio.create_task(daemon.drain())
        messages += await everything(websocket)
        await draining
        gate.release(100)
    *_, end = messages
    assert isinstance(end, End)
    payload = b"".join(message.payload for message in messages if isinstance(message, Data))
    assert (end.reason, end.length) == (Reason.DRAINING, len(payload))
    assert payload == stream_of("a.png", len(payload))
    assert websocket.close_code == 1001


@pytest.mark.asyncio
async def test_who_does_not_leave_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with sender(pictures(tmp_path), FakeOpener(), grace=0.05) as daemon:
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        await settled(lambda: daemon.connections == 1)
        # It neither reads nor says goodbye.
        await daemon.drain()
        assert daemon.connections == 0
        assert "1 connections are still open" in caplog.text
        writer.close()


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_who_has_yet_to_say_what_he_wants_does_not_make_it_longer(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with sender(pictures(tmp_path), FakeOpener(), grace=0.5) as daemon:
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        await asyncio.sleep(0.1)
        assert daemon._open
        began = clock()
        await daemon.drain()
        assert clock() - began < 2.0
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_long_drain_is_no_reason_to_keep_who_does_not_answer(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with sender(pictures(tmp_path), FakeOpener(), grace=3600.0) as daemon:
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        began = clock()
        # It never says hello, is told so, and says no goodbye.
        with contextlib.suppress(ConnectionError):
            while await reader.read(100):
                pass
        assert clock() - began < 90.0  # 60 of them are for its hello
        await asyncio.sleep(1.0)
        assert not daemon._open
        writer.close()


def status(url: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url + path, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_from_systemd_s_point_of_view(tmp_path: Path) -> None:
    """One process from READY to a second SIGTERM, its log as JSON, watched on a port of its own."""
    folder = pictures(tmp_path)
    config = tmp_path / "server.toml"
    config.write_text(
        f"folder = '{folder}'\nstore = '{tmp_path / 'store'}'\nport = 0\nmetrics = 0\n"
        "log-format = 'json'\ndrain = 1\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "DIFFC_SERVER_CONFIG": str(config),
            "DIFFC_SERVER_DRAIN": "80000",  # seconds: of itself it would not end today
        }
        with subprocess.Popen(
            [sys.executable, "-m", "diffc_server", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                told = _watch(process, systemd, folder)
            finally:
                process.kill()
    connections = {facts["connection"] for facts in told if "connection" in facts}
    assert len(connections) == 1
    [left] = [facts for facts in told if facts["event"] == "draining, for 80000 s at most"]
    assert (left["level"], left["logger"]) == ("info", "diffc_server")


def _watch(
    process: subprocess.Popen[str], systemd: socket.socket, folder: Path
) -> list[dict[str, Any]]:
    assert process.stdout is not None
    assert process.stderr is not None
    facts = json.loads(process.stdout.readline())
    port, watched = int(facts["url"].rpartition(":")[2]), facts["metrics"]
    assert systemd.recv(1000) == f"READY=1\nSTATUS=serving on {facts['url']}".encode()
    assert status(watched, "/readyz") == (200, "ready\n")
    folder.rename(folder.with_name("gone"))
    assert status(watched, "/readyz") == (503, "the folder of pictures is missing\n")
    folder.with_name("gone").rename(folder)
    (folder.with_name("store")).rename(folder.with_name("lost"))
    assert status(watched, "/readyz")[1].startswith("the store cannot be written")
    assert "diffc_connections{" in status(watched, "/metrics")[1]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as receiver:
        receiver.sendall(UPGRADE)
        assert receiver.recv(12) == b"HTTP/1.1 101"
        lines: list[str] = []
        while "connected" not in (lines or [""])[-1]:
            lines.append(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        assert systemd.recv(1000) == b"STOPPING=1\nSTATUS=draining"
        while "draining" not in lines[-1]:
            lines.append(process.stderr.readline())
        # The receiver does not say goodbye, and so it goes on draining.
        assert status(watched, "/readyz") == (503, "draining\n")
        assert status(watched, "/livez") == (200, "alive\n")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    return [json.loads(line) for line in lines + process.stderr.readlines()]
