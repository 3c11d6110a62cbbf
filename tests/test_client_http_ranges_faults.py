"""Streams fetched range by range: links that break, files that change, servers that misbehave."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from itertools import cycle

import pytest
from fakes import FakeDecoders, stream_of
from http_store import LENGTH, STORES, STREAM, Store, holding, offering, received, visiting

from diffc_client import Address, MemoryStream, Sender
from diffc_client.remote.http_ranges import FIRST_RANGE, OVERLAP
from diffc_stream.errors import (
    LinkLost,
    NothingDecodable,
    PeerError,
    RemoteProtocolError,
    UnknownImage,
)
from diffc_stream.session import Code, Reason, Terms
from diffc_stream.transport.backoff import Backoff


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["as it should be", "no ranges", "chunks"])
async def test_a_link_that_breaks_is_resumed(kind: str) -> None:
    store = replace(STORES[kind], drop=30_000)
    kept = MemoryStream()
    async with offering(store) as url:
        backoff = Backoff(draw=lambda: 0.0)
        sender = Sender(Address.parse(url), FakeDecoders(), backoff, Terms())
        assert await sender.receive("a.png.dfc", kept) is Reason.COMPLETE
        await sender.close()
    assert kept.read() == STREAM
    assert store.drop is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "held",
    [b"x" * 10, STREAM[:999] + b"x", b"x" + STREAM[1:50], STREAM + b"x", STREAM + b"x" * 99],
    ids=["short", "end", "start", "longer", "much longer"],
)
@pytest.mark.parametrize("ranges", [True, False])
async def test_what_is_held_has_to_be_the_beginning(held: bytes, ranges: bool) -> None:
    kept = holding(held)
    with pytest.raises(PeerError) as caught:
        await received(Store(ranges=ranges), kept)
    assert caught.value.code == Code.PREFIX_MISMATCH
    assert kept.read() == held


@pytest.mark.asyncio
@pytest.mark.parametrize("tags", [['"1"', 'W/"1"'], ['"1"', '"2"', '"3"'], [None, '"1"'], ["1"]])
@pytest.mark.parametrize("held", [0, 700])
async def test_equal_bytes_may_have_any_tag(tags: list[str | None], held: int) -> None:
    turns = cycle(tags)
    kept = holding(STREAM[:held])
    store = Store(tag=lambda _: next(turns))
    assert await received(store, kept) is Reason.COMPLETE
    assert kept.read() == STREAM
    assert int(store.asked[0].partition("-")[0]) == max(0, held - OVERLAP)


@pytest.mark.asyncio
async def test_another_file_in_its_place_is_none_to_go_on_with() -> None:
    store = Store()

    def replaced(_: bytes) -> None:
        store.files["a.png.dfc"] = stream_of("another", LENGTH)

    store.tag = replaced
    kept = MemoryStream()
    with pytest.raises(PeerError) as caught:
        await received(store, kept)
    assert caught.value.code == Code.PREFIX_MISMATCH
    assert kept.read() == STREAM[:FIRST_RANGE]


@pytest.mark.asyncio
async def test_a_file_that_grows_meanwhile_is_the_same() -> None:
    store = Store(files={"a.png.dfc": STREAM[:30_000]})

    def grow(data: bytes) -> None:
        store.files["a.png.dfc"] = STREAM[: len(data) + 20_000]

    store.tag = grow
    kept = MemoryStream()
    assert await received(store, kept) is Reason.COMPLETE
    assert kept.read() == STREAM


LOGIN = b"<!DOCTYPE html><html><body>Please log in" + b" ." * 2000 + b"</body></html>"


@pytest.mark.asyncio
@pytest.mark.parametrize("held", [0, 30, 700, 90_000])
@pytest.mark.parametrize("foreign", [LOGIN, b"PK", b"DF\0" + b"x" * 4000])
@pytest.mark.parametrize("ranges", [True, False])
async def test_what_is_no_stream_is_not_taken_and_nothing_is_dropped_for_it(
    held: int, foreign: bytes, ranges: bool
) -> None:
    kept = holding(STREAM[:held])
    store = Store(ranges=ranges, files={"a.png.dfc": foreign})
    with pytest.raises(RemoteProtocolError, match="is no stream") as caught:
        await received(store, kept)
    assert kept.read() == STREAM[:held]
    assert str(caught.value).isprintable()


@pytest.mark.asyncio
async def test_what_is_no_stream_is_shown() -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(LOGIN)}\r\n\r\n"
    store = Store(status=[answer + LOGIN.decode()])
    with pytest.raises(
        RemoteProtocolError, match="no stream but text/html, perhaps a login page"
    ) as e:
        await received(store, MemoryStream())
    assert "<!DOCTYPE html>" in str(e.value)


@pytest.mark.asyncio
async def test_a_page_to_log_in_that_comes_in_between_passes() -> None:
    kept = MemoryStream()
    store = Store()
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(LOGIN)}\r\n\r\n{LOGIN.decode()}"
    async with offering(store) as url:
        sender = Sender(Address.parse(url), FakeDecoders(), Backoff(draw=lambda: 0.0), Terms())
        assert await sender.receive("a.png.dfc", kept, bytes=3000) is Reason.TARGET
        store.status = [answer, answer]
        assert await sender.receive("a.png.dfc", kept) is Reason.COMPLETE
        await sender.close()
    assert kept.read() == STREAM


CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def refused(status: str, *fields: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *fields, "", ""])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refused("404 Not Found"), UnknownImage, "there is no a.png.dfc"),
        (refused("410 Gone"), UnknownImage, "410"),
        (refused("415 No"), PeerError, "unreadable-image"),
        (refused("403 Forbidden"), RemoteProtocolError, "HTTP 403"),
        (
            refused("301 Moved", "Location: http://x/"),
            RemoteProtocolError,
            "redirects to http://x/",
        ),
        (refused("301 Moved", "Location: \x1b[2J"), RemoteProtocolError, "refuses"),
        (refused("206 Partial"), RemoteProtocolError, "which bytes"),
        (refused("206 P", "Content-Range: bytes 1-5/9"), RemoteProtocolError, "other bytes"),
        (refused("206 P", "Content-Range: bytes 0-5000/9999"), RemoteProtocolError, "other bytes"),
        (refused("206 P", "Content-Range: bytes 0-9/9"), RemoteProtocolError, "than there are"),
        (refused("206 P", "Content-Range: bytes 0-9/99"), LinkLost, "less than it said"),
        (refused("200 OK", "Content-Encoding: gzip"), RemoteProtocolError, "compresses"),
        (refused("200 OK", "Transfer-Encoding: gzip"), RemoteProtocolError, "chunked is supported"),
        (refused("200 OK", "Content-Length: 5"), RemoteProtocolError, "conflicting"),
        (refused("200 OK", ": 5"), RemoteProtocolError, "illegal header"),
        (refused("200 OK", *["a: b"] * 101), RemoteProtocolError, "too many fields"),
        (refused("200 OK", "a: " + "b" * 40_000), RemoteProtocolError, "too long"),
        (refused("100 Continue") * 9, RemoteProtocolError, "interim"),
        (refused("503 Busy"), LinkLost, "HTTP 503"),
        (refused("429 Slow down"), LinkLost, "HTTP 429"),
        ("HTTP/2 200 OK\r\n\r\n", RemoteProtocolError, "another protocol"),
        ("SSH-2.0-OpenSSH\r\n", RemoteProtocolError, "another protocol"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n", LinkLost, "was lost"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nDFC", LinkLost, "was lost"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            RemoteProtocolError,
            "chunk",
        ),
        (f"{CHUNKED}2\r\nDFC\r\n", RemoteProtocolError, "does not speak HTTP/1.1"),
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 3\r\n\r\nDFC",
            RemoteProtocolError,
            "more bytes than it says",
        ),
    ],
)
async def test_servers_that_do_not_behave(answer: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        await received(Store(status=[answer] * 9), MemoryStream())
    assert str(caught.value).isprintable()


@pytest.mark.asyncio
async def test_an_announcement_is_passed_over() -> None:
    answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + refused("404 Not Found")
    with pytest.raises(UnknownImage):
        await received(Store(status=[answer]), MemoryStream())


@pytest.mark.asyncio
async def test_a_server_that_is_silent() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with offering(silent) as url, visiting(url, idle=0.01) as sender:
        with pytest.raises(LinkLost, match="does not answer"):
            await sender.receive("a.dfc", MemoryStream())


@pytest.mark.asyncio
async def test_nobody_is_there() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    for scheme in ("http", "https"):
        with pytest.raises(LinkLost, match="cannot be reached"):
            async with visiting(f"{scheme}://127.0.0.1:{port}"):
                pass


@pytest.mark.asyncio
async def test_somebody_who_does_not_speak_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(refused("400 What").encode())
        await reader.read()

    async with offering(plain) as url:
        with pytest.raises(RemoteProtocolError, match="does not speak TLS"):
            async with visiting(url.replace("http:", "https:")):
                pass


@pytest.mark.asyncio
async def test_an_empty_file() -> None:
    store = Store(files={"a.png.dfc": b""})
    kept = MemoryStream()
    assert await received(store, kept) is Reason.COMPLETE
    async with offering(store) as url, visiting(url) as sender:
        with pytest.raises(NothingDecodable):
            async for _ in sender.open("a.png.dfc"):
                pass
