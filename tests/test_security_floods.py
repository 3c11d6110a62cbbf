"""The security checklist, floods: connections, requests, streams, encoders, slow readers."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from authority import issue
from fakes import FakeDecoders, FakeOpener
from http_client import request
from serving import pictures, serving, settled
from visitors import asked, bearer, clock, dial, greeted, guard, status
from websocket_client import HELLO, everything, heard
from websockets.exceptions import InvalidStatus

import diffc_client
from diffc_server import Catalogue, Pipeline, SenderDaemon, daemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_stream.errors import LinkLost, SenderLeaving
from diffc_stream.session import Code, Data, End, Error, Goaway, List, Open, Terms, encode
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.tokens import add_token
from diffc_stream.transport.websocket import OPENING


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """The file of tokens."""
    return tmp_path / "tokens.toml"


@pytest.mark.asyncio
@pytest.mark.virtual_time
@pytest.mark.parametrize("tls", [False, True])
async def test_slow_handshake(folder: Path, tmp_path: Path, tls: bool) -> None:
    """A byte a second keeps nobody waiting for longer than all have."""
    certificate = issue(tmp_path).certificate if tls else None
    slow = b"\x16\x03\x01\x02\x00" + bytes(600) if tls else request("/", "X: " + "x" * 600)
    async with serving(folder, certificate=certificate) as sender:
        reader, writer = await asyncio.open_connection("127.0.0.1", sender.port)
        ended = asyncio.create_task(reader.read())
        began = clock()
        for byte in slow:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(1)
        assert clock() - began <= OPENING + 5
        writer.close()
        with suppress(ConnectionError):
            await ended
            await writer.wait_closed()


@pytest.mark.asyncio
@pytest.mark.virtual_time
@pytest.mark.parametrize("says", [False, True])
async def test_idle_connections(folder: Path, says: bool) -> None:
    """Neither who does not greet stays, nor who greets and falls silent."""
    async with serving(folder) as sender, dial(sender.url) as websocket:
        began = clock()
        if says:
            await websocket.send(HELLO)
        *_, last = await everything(websocket)
        assert isinstance(last, Error)
        assert last.code == Code.TIMEOUT
        most = Terms().idle if says else Terms().greeting
        assert clock() - began <= most + 5
        await settled(lambda: sender.connections == 0)


@pytest.mark.asyncio
async def test_connection_floods(folder: Path, held: Path) -> None:
    first, second = add_token(held, "ship"), add_token(held, "shore")
    limits = Limits(connections=3)
    async with serving(folder, reception=guard(held, limits)) as sender:
        kept = [await dial(sender.url, bearer(first)) for _ in range(3)]
        with pytest.raises(InvalidStatus) as caught:
            await dial(sender.url, bearer(first))
        assert caught.value.response.status_code == 429
        assert int(caught.value.response.headers["Retry-After"]) > 0
        assert await status(sender.port, "/a.png.dfc", f"Authorization: Bearer {first}") == 429
        # A receiver takes it for something that passes.
        with pytest.raises(LinkLost, match="429"):
            async with diffc_client.connect(sender.url, decoders=FakeDecoders(), token=first):
                pass
        async with greeted(sender.url, bearer(second)):
            pass
        await kept[0].close()
        await settled(lambda: sender.connections == 2)
        async with greeted(sender.url, bearer(first)):
            pass
        for websocket in kept:
            await websocket.close()
    # Without tokens it is the address; who only begins to ask holds a place too.
    async with serving(folder, reception=AccessControl(limits=limits, clock=clock)) as sender:
        mute = [await asyncio.open_connection("127.0.0.1", sender.port) for _ in range(5)]
        ended = [asyncio.create_task(reader.read()) for reader, _ in mute]
        await settled(lambda: sum(task.done() for task in ended) == 2)
        for _, writer in mute:
            writer.close()
        await asyncio.wait(ended)


@pytest.mark.asyncio
async def test_request_floods(folder: Path) -> None:
    limits = Limits(requests_per_second=0.1)
    async with serving(folder, reception=AccessControl(limits=limits, clock=clock)) as sender:
        assert [await status(sender.port, "/a.png.dfc") for _ in range(3)] == [200, 429, 429]


@pytest.mark.asyncio
async def test_stream_floods(folder: Path) -> None:
    gate = threading.Semaphore(0)
    limits = Limits(streams=3)
    guarded = AccessControl(limits=limits, clock=clock)
    async with (
        serving(folder, FakeOpener(gate=gate), reception=guarded) as sender,
        greeted(sender.url) as one,
        greeted(sender.url) as two,
    ):
        for stream in (1, 2):
            await one.send(encode(Open(stream=stream, image="a.png")))
        await one.send(encode(List()))
        await heard(one)
        for stream in (1, 2):
            await two.send(encode(Open(stream=stream, image="a.png")))
        refused = await heard(two)
        assert isinstance(refused, Error)
        assert (refused.stream, refused.code, refused.retry) == (2, Code.BUSY, True)
        gate.release(100)
        message = await heard(two)
        assert isinstance(message, Data)
        assert message.stream == 1


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_reader_never_reads(folder: Path) -> None:
    """However many stall: each is sent a window and no more, and let go in the end."""
    opener = FakeOpener(length=200_000)
    async with serving(folder, opener) as sender, greeted(sender.url) as good:
        stalled = []
        for _ in range(30):
            websocket = await dial(sender.url)
            await websocket.send(HELLO)
            await websocket.send(encode(Open(stream=1, image="a.png")))
            websocket.transport.pause_reading()
            stalled.append(websocket)
        await settled(lambda: sender.connections == 31)
        began = clock()
        while len(sender._receivers) > 1:
            for conversation in sender._receivers:
                assert conversation._session.under_way <= 1024
                assert conversation._websocket.transport.get_write_buffer_size() < 16_384
            await asyncio.sleep(1)
            if clock() - began < 5:  # another one is served as ever
                await good.send(encode(List()))
                await heard(good)
        assert clock() - began < 3 * Terms().idle
        assert opener.computed["a.png"] < 10_000
        for websocket in stalled:
            websocket.transport.abort()


@pytest.mark.asyncio
async def test_encoder_exhaustion(folder: Path) -> None:
    """Beyond a number pictures are refused that want an encoder; others are not held up."""
    (folder / "ready.dfc").write_text("0f0f0f0f")
    gate = threading.Semaphore(0)
    names = [f"p{number}.png" for number in range(6)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    opener = FakeOpener(gate=gate)
    pipeline = Pipeline(opener, slots=2, queue=1)
    async with (
        SenderDaemon(Catalogue(folder), pipeline) as sender,
        greeted(sender.url) as websocket,
        greeted(sender.url) as other,
    ):
        for stream, name in enumerate(names, 1):
            await websocket.send(encode(Open(stream=stream, image=name)))
        for _ in range(3):
            refused = await heard(websocket)
            assert isinstance(refused, Error)
            assert (refused.code, refused.retry) == (Code.BUSY, True)
            assert refused.after is not None
        await other.send(encode(List()))
        await heard(other)
        assert len(opener.opened) <= 2
        gate.release(1000)


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_encoder_seconds_run_out(folder: Path, held: Path) -> None:
    """Who has had his share of the encoder waits; whoever else comes does not."""
    first, second = add_token(held, "ship"), add_token(held, "shore")
    guarded = guard(held, Limits(encoder_seconds_per_hour=3600.0))
    async with (
        serving(folder, FakeOpener(length=20_000), reception=guarded) as sender,
        greeted(sender.url, bearer(first)) as greedy,
        greeted(sender.url, bearer(second)) as modest,
    ):
        [account] = {
            conversation.quota.account
            for conversation in sender._receivers
            if conversation.quota.name == "ship"
        }
        assert account is not None
        account.charge(3660.0)
        await greedy.send(encode(Open(stream=1, image="a.png")))
        refused = await heard(greedy)
        while isinstance(refused, Data):
            refused = await heard(greedy)
        assert isinstance(refused, Error)
        assert (refused.code, refused.retry) == (Code.BUSY, True)
        assert refused.after == pytest.approx(61, abs=2)
        await modest.send(encode(Open(stream=1, image="a.png")))
        assert isinstance(await heard(modest), Data)
        # What others have paid for is there for everybody.
        answer = await asked(
            sender.port,
            request("/b.png.dfc", f"Authorization: Bearer {first}"),
        )
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert re.search(rb"Retry-After: 6[0-3]\r", answer)


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_drain_abuse(folder: Path) -> None:
    """Who does not let go is let go of in time."""
    async with serving(folder, FakeOpener(length=50_000)) as sender:
        websockets = []
        for _ in range(10):
            websocket = await dial(sender.url)
            await websocket.send(HELLO)
            await websocket.send(encode(Open(stream=1, image="a.png")))
            websocket.transport.pause_reading()
            websockets.append(websocket)
        await settled(lambda: len(sender._receivers) == 10)
        began = clock()
        await sender.drain()
        assert clock() - began <= daemon.DRAIN_GRACE + 5
        for websocket in websockets:
            websocket.transport.abort()


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_drain_herd(folder: Path) -> None:
    """Those who are sent away come back spread over the time that they were given."""
    async with serving(folder) as sender, greeted(sender.url) as websocket:
        await websocket.send(encode(Open(stream=1, image="a.png")))
        assert isinstance(await heard(websocket), Data)
        draining = asyncio.create_task(sender.drain())
        messages = await everything(websocket)
        await draining
        [goaway] = [message for message in messages if isinstance(message, Goaway)]
        assert any(isinstance(message, End) for message in messages)
    draws = random.Random(0)
    waits = [await Backoff(draw=draws.random).pause(SenderLeaving(goaway.wait)) for _ in range(200)]
    assert max(waits) <= goaway.wait
    per_second = np.histogram(waits, bins=5, range=(0, goaway.wait))[0]
    assert per_second.min() > 20
