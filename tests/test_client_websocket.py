"""A receiver's connection against senders that do not behave."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from socket import socket

import pytest
from fakes import FakeDecoders
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

import diffc_client
from diffc_client import Address, MemoryStream, Mirror
from diffc_client.mirror import catalogue_feed
from diffc_client.remote import websocket as link_module
from diffc_client.remote.websocket import Link
from diffc_stream.errors import (
    AddressError,
    LinkLost,
    PeerError,
    RemoteProtocolError,
    Unauthorized,
)
from diffc_stream.session import (
    SUBPROTOCOL,
    Alive,
    Catalogue,
    Code,
    Data,
    End,
    Entry,
    Error,
    Hello,
    List,
    Message,
    Open,
    Reason,
    ReceiverSession,
    Terms,
    Welcome,
    decode,
    encode,
)
from diffc_stream.transport.pacing import FRAMES, PIECE

WELCOME = encode(Welcome(window=8192, idle=60.0, streams=16))

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def sender(handler: Handler, subprotocol: str | None = SUBPROTOCOL) -> AsyncIterator[str]:
    """Serve, and give the address."""
    offered = [Subprotocol(subprotocol)] if subprotocol else None
    async with serve(handler, "127.0.0.1", 0, subprotocols=offered) as server:
        yield url(server.sockets)


def url(sockets: Iterable[socket]) -> str:
    return f"ws://127.0.0.1:{next(iter(sockets)).getsockname()[1]}"


def saying(*messages: Message | bytes | str) -> Handler:
    """Return a sender that waits for HELLO and OPEN, says this, and waits."""

    async def handler(websocket: ServerConnection) -> None:
        assert isinstance(decode(await websocket.recv()), Hello)  # type: ignore[arg-type]
        assert isinstance(decode(await websocket.recv()), Open)  # type: ignore[arg-type]
        await websocket.send(WELCOME)
        for message in messages:
            await websocket.send(encode(message) if isinstance(message, Message) else message)
        await websocket.wait_closed()

    return handler


async def receive(address: str) -> tuple[Reason, bytes]:
    kept = MemoryStream()
    async with diffc_client.connect(address, decoders=FakeDecoders(), patience=0.0) as connected:
        return await connected.receive("a.png", kept, bytes=100), kept.read()


@pytest.mark.asyncio
async def test_a_sender_that_behaves() -> None:
    said = [
        Data(stream=1, offset=0, payload=b"abc"),
        Alive(),
        Data(stream=1, offset=3, payload=b"def"),
        End(stream=1, reason=Reason.COMPLETE, length=6),
    ]
    async with sender(saying(*said)) as address:
        assert await receive(address) == (Reason.COMPLETE, b"abcdef")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff",
        "text",
        WELCOME,
        bytes([Catalogue.kind]) + b"\x91" * 5000,
        Catalogue(images=(), last=True),
        Data(stream=1, offset=5, payload=b"x"),
        Data(stream=1, offset=0, payload=bytes(101)),
        Data(stream=2, offset=0, payload=b"x"),
        End(stream=1, reason=Reason.COMPLETE, length=7),
    ],
    ids=["empty", "type", "text", "twice", "nested", "unasked", "gap", "beyond", "other", "end"],
)
async def test_junk_is_a_damaged_link(junk: Message | bytes | str) -> None:
    async with sender(saying(junk)) as address:
        with pytest.raises(LinkLost, match="the connection to the sender was damaged: "):
            await receive(address)


@pytest.mark.asyncio
async def test_junk_before_welcome_is_a_broken_protocol() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(b"junk")
        await websocket.wait_closed()

    async with sender(handler) as address:
        with pytest.raises(RemoteProtocolError):
            await receive(address)


@pytest.mark.asyncio
async def test_an_oversized_message() -> None:
    async with sender(saying(bytes(20_000))) as address:
        with pytest.raises(LinkLost):
            await receive(address)


@pytest.mark.asyncio
async def test_a_sender_that_gives_up_is_quoted() -> None:
    said = Error(stream=0, code=Code.INTERNAL, message="out of coffee")
    async with sender(saying(said)) as address:
        with pytest.raises(PeerError, match="out of coffee"):
            await receive(address)


@pytest.mark.asyncio
async def test_a_sender_that_lost_patience_is_asked_again() -> None:
    silence = Error(stream=0, code=Code.TIMEOUT, message="nothing heard", retry=True)
    rest = Data(stream=1, offset=0, payload=b"abc")
    handlers = [saying(silence), saying(rest, End(stream=1, reason=Reason.COMPLETE, length=3))]

    async def handler(websocket: ServerConnection) -> None:
        await handlers.pop(0)(websocket)

    async with sender(handler) as address:
        kept = MemoryStream()
        async with diffc_client.connect(address, decoders=FakeDecoders()) as connected:
            assert await connected.receive("a.png", kept) is Reason.COMPLETE
    assert kept.read() == b"abc"


@pytest.mark.asyncio
@pytest.mark.parametrize("subprotocol", ["diffc-stream.v2", None])
async def test_another_version(subprotocol: str | None) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    async with sender(handler, subprotocol) as address:
        with pytest.raises(RemoteProtocolError, match=r"does not speak diffc-stream\.v1"):
            await receive(address)


@pytest.mark.asyncio
async def test_something_that_is_no_websocket() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(LinkLost, match="does not answer like a WebSocket server"):
            await receive(url(server.sockets))


@pytest.mark.asyncio
@pytest.mark.virtual_time
@pytest.mark.parametrize("after", [0, 13])
async def test_who_hangs_up_is_not_blamed_for_what_nobody_knows(after: int) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await asyncio.sleep(after)
            await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        with pytest.raises(LinkLost, match="without an answer") as caught:
            await receive(url(server.sockets))
    assert "TLS" not in str(caught.value)
    assert ("after 13 s" in str(caught.value)) == bool(after)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("start it with --origin https://x", ": start it with --origin https://x"),
        ("<html>", ""),
        ("\x1b[2J", ""),
        ("", ""),
    ],
)
async def test_what_a_sender_says_why_it_lets_nobody_in(body: str, shown: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 403 No\r\nContent-Length: {len(body) + 1}\r\n\r\n"
        writer.write(f"{head}{body}\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(Unauthorized) as caught:
            await receive(url(server.sockets))
    assert str(caught.value).endswith(f"(HTTP 403){shown}")


@pytest.mark.asyncio
async def test_a_host_that_cannot_be() -> None:
    for host in ("a..b", "x" * 80):
        address = Address(scheme="ws", host=host, port=1)
        with pytest.raises((AddressError, LinkLost)) as caught:
            await Link.dial(address, models=(), terms=Terms())
        assert "\n" not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_sender_that_falls_silent_is_given_up() -> None:
    async with sender(saying()) as address:
        link = await Link.dial(Address.parse(address), models=(), terms=Terms(idle=20.0))
        arrivals = link.open("a.png")
        with pytest.raises(LinkLost, match="nothing heard from the sender"):
            await arrivals.next()
        assert link.lost
        with pytest.raises(LinkLost):
            link.open("a.png")
        with pytest.raises(LinkLost):
            await link.catalogue()
        await link.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("can", [True, False])
async def test_a_catalogue_that_goes_on(can: bool) -> None:
    said = [
        Welcome(window=8192, idle=60.0, streams=7, capabilities=("follow",) if can else ()),
        Catalogue(images=(), last=False),
        Catalogue(images=(), last=True, mark="0" * 16),
    ]

    async def handler(websocket: ServerConnection) -> None:
        assert isinstance(decode(await websocket.recv()), Hello)  # type: ignore[arg-type]
        assert decode(await websocket.recv()) == List(follow=True, mark="1" * 16)  # type: ignore[arg-type]
        for message in said:
            await websocket.send(encode(message))
        if can:
            await websocket.send(encode(Catalogue(images=(), last=True, changes=True)))
        else:
            assert decode(await websocket.recv()) == List(follow=True)  # type: ignore[arg-type]
            await websocket.send(encode(Catalogue(images=(), last=True)))

    async with sender(handler) as address:
        link = await Link.dial(Address.parse(address), models=(), terms=Terms())
        pages = link.follow("1" * 16)
        assert [await pages.get() for _ in range(2)] == said[1:]
        assert (link.following, link.streams) == (can, 7)
        if not can:
            pages = link.follow()
        page = await pages.get()
        assert isinstance(page, Catalogue)
        assert page.changes is can
        # And at last why there are no more.
        assert isinstance(await pages.get(), LinkLost)
        await link.close()


FLOODS = {
    "ALIVE": encode(Alive()),
    "empty pages": encode(Catalogue(images=(), last=False)),
    "whole pages": encode(
        Catalogue(
            images=tuple(
                Entry(name=f"{number}", size=1, time=1, thumbprint="0" * 16) for number in range(50)
            ),
            last=False,
        )
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_holds_up_nobody_else(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a sender says, others have their turn after some of it."""
    loop = asyncio.get_running_loop()
    heard, most, turns = 0, 0, 0
    real = ReceiverSession.receive

    def counted(session: ReceiverSession, data: bytes | str, now: float) -> Message | None:
        nonlocal heard
        heard += 1
        return real(session, data, now)

    def look(before: int) -> None:
        nonlocal most, turns
        most, turns = max(most, heard - before), turns + 1
        handle[0] = loop.call_soon(look, heard)

    async def pour(websocket: ServerConnection) -> None:
        await websocket.recv()
        websocket.transport.write(frame(WELCOME))
        for _ in range(40):
            websocket.transport.write(frame(FLOODS[kind]) * 100)
            await websocket.drain()
        await websocket.wait_closed()

    monkeypatch.setattr(ReceiverSession, "receive", counted)
    monkeypatch.setattr(link_module, "MOST_ENTRIES", 8000)
    async with sender(pour) as address:
        link = await Link.dial(Address.parse(address), models=(), terms=Terms())
        handle = [loop.call_soon(look, heard)]
        asking = asyncio.create_task(link.catalogue())
        if kind == "ALIVE":
            while heard < 1900:  # noqa: ASYNC110
                await asyncio.sleep(0)
            asking.cancel()
        else:
            # It ends: nobody has a catalogue that is as long.
            with pytest.raises(LinkLost, match="damaged: a CATALOGUE of more than"):
                await asking
        handle[0].cancel()
        await link.close()
    assert most <= FRAMES + PIECE // 5 + 8
    assert turns > 10


def frame(data: bytes) -> bytes:
    return Frame(Opcode.BINARY, data).serialize(mask=False)


@pytest.mark.asyncio
async def test_a_catalogue_without_end_is_not_mirrored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(websocket: ServerConnection) -> None:
        assert isinstance(decode(await websocket.recv()), Hello)  # type: ignore[arg-type]
        await websocket.send(WELCOME)
        with suppress(ConnectionClosed):
            for number in itertools.count():
                names = [f"{number}-{n}.png" for n in range(50)]
                images = tuple(Entry(name=n, size=1, time=1, thumbprint="0" * 16) for n in names)
                await websocket.send(encode(Catalogue(images=images, last=False)))

    monkeypatch.setattr(catalogue_feed, "MOST_ENTRIES", 120)
    async with sender(handler) as address, Mirror(tmp_path / "kept") as mirror:
        link = await Link.dial(Address.parse(address), models=(), terms=Terms())
        with pytest.raises(RemoteProtocolError, match="more than 120 pictures"):
            await mirror.follow(link)
