"""Processes that are killed in the middle of a stream, as by kill -9, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
import sources

import diffc_client
from diffc_stream import Decoder, Encoder, load_picture, save_png
from diffc_stream.diffusion.collection import Collection

BYTES = 3000
HOLD = 1500
"""Bytes that a relay carries before it holds the rest back."""
WINDOW = "512"
"""Small, so that what was sent is in the middle too."""
PATIENCE = 120.0
"""Seconds for whatever a test waits for."""
OVERHEAD = 600
"""Bytes of a connection that are no payload: the handshake, and eleven or so with each frame."""


class Relay:
    """Carries connections to a port, and holds back what comes after so many bytes, until told."""

    def __init__(self) -> None:
        self.held = threading.Event()
        """The limit has been reached."""
        self._limit = math.inf
        self._upstream = 0
        self._carried: list[int] = []
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop.set)
        self._thread.join()

    @property
    def carried(self) -> int:
        """Bytes from the far end, over the newest connection."""
        return self._carried[-1]

    def connect(self, url: str, *, hold: float = math.inf) -> None:
        """Carry to a sender from now on, ``hold`` bytes a connection; who waited for it goes on."""
        self._limit = hold
        self.held.clear()
        self._upstream = int(url.rpartition(":")[2])
        self._call(self._connected.set)

    def release(self) -> None:
        """Hold nothing back; who connects has to wait for the next connect()."""
        self._limit = math.inf
        self._call(self._connected.clear)
        self._call(self._released.set)

    def _call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._connected = asyncio.Event(), asyncio.Event()
        self._released = asyncio.Event()
        carriers: set[asyncio.Task[None]] = set()

        def accept(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
            carriers.add(self._loop.create_task(self._carry(near, back)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        async with server:
            await self._stop.wait()
        # A program that dials again may have a connection open to the last.
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        writers = [back]
        try:
            await self._connected.wait()
            far, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
            writers.append(forth)
            async with asyncio.TaskGroup() as tasks:
                up = tasks.create_task(_copy(near, forth))
                await self._limited(far, back)
                up.cancel()
        except OSError:
            pass  # an end is gone
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _limited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self._carried)
        self._carried.append(0)
        with contextlib.suppress(OSError):
            while data := await reader.read(128):
                if self._carried[number] >= self._limit:
                    self._released.clear()
                    self.held.set()
                    await self._released.wait()
                writer.write(data)
                await writer.drain()
                self._carried[number] += len(data)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(128):
            writer.write(data)
            await writer.drain()


@contextlib.contextmanager
def command(
    name: str, *arguments: str, store: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process of one of the commands, which does not outlive the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({"DIFFC_CACHE": str(store)} if store else {})},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def url_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return str(json.loads(server.stdout.readline())["url"])


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a process that ends well and return what it said on stdout."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def stream() -> bytes:
    model = Collection.at_hand().preferred
    return b"".join(Encoder(sources.picture(), model, target_bytes=BYTES))


@pytest.fixture(scope="module")
def sender(stream: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sender that has a stream."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "a.dfc").write_bytes(stream)
    with command("diffc_server", str(folder), "--port", "0", "--json") as server:
        yield url_of(server)


def test_a_sender_is_killed_and_started_again(tmp_path: Path) -> None:
    folder, kept = tmp_path / "served", tmp_path / "kept.dfc"
    folder.mkdir()
    save_png(folder / "a.png", sources.picture())
    serve = [str(folder), "--json", "--store", str(tmp_path / "store")]
    with Relay() as relay:
        get = ["get", f"{relay.url}/a.png", "-o", str(tmp_path / "out.png"), "--window", WINDOW]
        get += ["--bytes", str(BYTES), "--keep-stream", str(kept), "--json"]
        get += ["--patience", "600"]
        with contextlib.ExitStack() as processes:
            server = processes.enter_context(command("diffc_server", *serve, "--port", "0"))
            # Not before it is there: to start may take longer than others wait.
            relay.connect(url := url_of(server), hold=HOLD)
            client = processes.enter_context(command("diffc_client", *get))
            assert relay.held.wait(PATIENCE)
            server.kill()
            server.wait()
            relay.release()
            port = url.rpartition(":")[2]
            with command("diffc_server", *serve, "--port", port) as again:
                assert url_of(again) == url
                relay.connect(url)
                assert json.loads(finished(client))["bytes"] == BYTES
                assert relay.carried < BYTES - HOLD + 2 * OVERHEAD
                # From here on, and from another link, the same.
                uncut = diffc_client.MemoryStream()
                asyncio.run(received(url, uncut))
    assert kept.read_bytes() == uncut.read()
    assert not list(tmp_path.rglob("*.part"))


async def received(url: str, kept: diffc_client.MemoryStream) -> None:
    async with diffc_client.connect(url) as sender:
        await sender.receive("a.png", kept, bytes=BYTES)


def test_get_is_killed_and_called_again(sender: str, stream: bytes, tmp_path: Path) -> None:
    out, store = tmp_path / "out.png", tmp_path / "store"
    with Relay() as relay:
        get = ["get", f"{relay.url}/a.dfc", "-o", str(out), "--window", WINDOW]
        get += ["--json"]
        relay.connect(sender, hold=HOLD)
        with command("diffc_client", *get, store=store) as client:
            assert relay.held.wait(PATIENCE)
            client.kill()
            client.wait()
        relay.release()
        assert not out.exists()
        [kept] = store.glob("*.dfc")
        held = kept.read_bytes()
        assert stream.startswith(held)
        assert 0 < len(held) < HOLD
        relay.connect(sender)
        with command("diffc_client", *get, store=store) as client:
            assert json.loads(finished(client))["bytes"] == len(stream)
        rest = len(stream) - len(held)
        assert rest < relay.carried < rest + OVERHEAD
    assert kept.read_bytes() == stream
    assert_shows(out, stream)


def test_run_is_killed_and_started_again(sender: str, stream: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    with Relay() as relay:
        run = ("run", relay.url, str(folder), "--window", WINDOW)
        relay.connect(sender, hold=HOLD)
        with command("diffc_client", *run) as client:
            assert relay.held.wait(PATIENCE)
            client.kill()
            client.wait()
        relay.release()
        [kept] = folder.rglob("*.dfc")
        held = kept.read_bytes()
        assert stream.startswith(held)
        assert 0 < len(held) < HOLD
        # What was being written, a hidden .part, stays behind until next time.
        for picture in folder.rglob("*.png"):
            load_picture(picture)
        relay.connect(sender)
        with command("diffc_client", *run) as client:
            assert client.stderr is not None
            assert any(".png: " in line and "complete" in line for line in client.stderr)
            client.terminate()
            finished(client)
        rest = len(stream) - len(held)
        assert rest < relay.carried < rest + OVERHEAD
    assert kept.read_bytes() == stream
    assert not list(folder.rglob("*.part"))
    assert_shows(kept.with_name(f"{kept.name}.png"), stream)


def assert_shows(file: Path, stream: bytes) -> None:
    """A picture file is what a stream decodes to, but for the order of additions."""
    decoder = Decoder([Collection.at_hand().preferred])
    decoder.feed(stream)
    difference = load_picture(file).astype(int) - decoder.render().image
    assert abs(difference).max() <= 1
