"""A link that is made anew: few are held at once, and none after it was closed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from fakes import HEADER, FakeDecoder, FakeDecoders, FakeOpener, FakePicture, stream_of
from serving import pictures, serving
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

import diffc_client
from diffc_client import MemoryStream, Method
from diffc_client.api.lasting_link import MOST_CLOSING
from diffc_stream.errors import LinkLost
from diffc_stream.session import (
    SUBPROTOCOL,
    Data,
    End,
    Goaway,
    Hello,
    Open,
    Reason,
    Welcome,
    decode,
    encode,
)

STREAM = stream_of("a.png", HEADER + 40)


class Leaver:
    """A sender that leaves after every byte, and closes no connection."""

    def __init__(self) -> None:
        self.links = 0
        self.open = 0
        self.most = 0
        """How many connections were open at once."""

    async def __call__(self, websocket: ServerConnection) -> None:
        self.links += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            async for data in websocket:
                assert isinstance(data, bytes)
                await self._answer(websocket, data)
        finally:
            self.open -= 1

    async def _answer(self, websocket: ServerConnection, data: bytes) -> None:
        match decode(data):
            case Hello():
                await websocket.send(encode(Welcome(window=8192, idle=60.0, streams=16)))
            case Open(stream=stream, start=start):
                at = start + 1
                payload = STREAM[start:at]
                await websocket.send(encode(Data(stream=stream, offset=start, payload=payload)))
                done = at == len(STREAM)
                if not done:
                    await websocket.send(encode(Goaway(wait=0.001)))
                reason = Reason.COMPLETE if done else Reason.DRAINING
                await websocket.send(encode(End(stream=stream, reason=reason, length=at)))


@pytest.mark.asyncio
async def test_a_sender_that_leaves_again_and_again_has_few_links() -> None:
    leaver, kept = Leaver(), MemoryStream()
    async with serve(leaver, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        async with diffc_client.connect(url, decoders=FakeDecoders()) as sender:
            assert await sender.receive("a.png", kept) is Reason.COMPLETE
    assert kept.read() == STREAM
    assert leaver.links == len(STREAM)
    # The sender may take note of an end a little later.
    assert leaver.most <= 3 * MOST_CLOSING


@pytest.mark.asyncio
async def test_what_still_comes_over_a_link_that_is_left_comes_to_its_end(tmp_path: Path) -> None:
    gate, kept = threading.Semaphore(2), MemoryStream()
    folder = pictures(tmp_path)
    async with (
        serving(folder, FakeOpener(gate=gate)) as daemon,
        diffc_client.connect(daemon.url, decoders=FakeDecoders(), patience=0.0) as sender,
    ):
        delivery = sender.open("a.png", kept=kept)
        await anext(delivery)
        old = await sender.dial()
        assert isinstance(old, diffc_client.remote.websocket.Link)
        old._act(Goaway(wait=0.0))
        assert await sender.dial() is not old
        assert old.busy
        gate.release(100)
        assert [refinement.bytes async for refinement in delivery][-1] == 5000
        assert kept.read() == stream_of("a.png", 5000)
        await old._task  # which is closed then
    assert not old.busy


@pytest.mark.asyncio
async def test_what_is_received_when_it_is_closed_ends(tmp_path: Path) -> None:
    gate = threading.Semaphore(2)
    async with serving(pictures(tmp_path), FakeOpener(gate=gate)) as daemon:
        async with diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender:
            delivery = sender.open("a.png")
            await anext(delivery)
        gate.release(100)
        with pytest.raises(LinkLost, match="on this side"):
            await sender.dial()
        with pytest.raises(LinkLost, match="on this side"):
            await sender.images()
        with pytest.raises(LinkLost, match="on this side"):
            async for _ in delivery:
                pass


class Slow(FakeDecoder):
    """Renders when it is told to."""

    def __init__(self, fingerprints: tuple[str, ...]) -> None:
        super().__init__(fingerprints)
        self.begun, self.go = threading.Event(), threading.Event()

    def render(self, method: Method = "mmse") -> FakePicture:
        """Return a grey picture."""
        self.begun.set()
        self.go.wait()
        return super().render(method)


class Noticed(MemoryStream):
    """Says when a stream is complete."""

    def __init__(self) -> None:
        super().__init__()
        self.complete = asyncio.Event()

    def append(self, data: bytes) -> None:
        """Append the bytes that follow."""
        super().append(data)
        if self.length == 5000:
            self.complete.set()


@pytest.mark.asyncio
async def test_what_is_not_decoded_when_it_is_closed_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fakes.FakeDecoder", Slow)
    gate, decoders, kept = threading.Semaphore(2), FakeDecoders(), Noticed()
    async with serving(pictures(tmp_path), FakeOpener(gate=gate)) as daemon:
        async with diffc_client.connect(daemon.url, decoders=decoders) as sender:
            delivery = sender.open("a.png", kept=kept)
            first = asyncio.ensure_future(anext(delivery))
            while not decoders.made:  # noqa: ASYNC110 - it is made by the task
                await asyncio.sleep(0)
            [decoder] = decoders.made
            assert isinstance(decoder, Slow)
            await asyncio.to_thread(decoder.begun.wait)
            gate.release(100)
            await kept.complete.wait()
        decoder.go.set()
        assert (await first).bytes < 5000
        with pytest.raises(LinkLost, match="on this side"):
            async for _ in delivery:
                pass
