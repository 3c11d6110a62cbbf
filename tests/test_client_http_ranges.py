"""Streams as files behind servers of all kinds, fetched range by range."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from fakes import HEIGHT, WIDTH, FakeDecoders, FakeOpener, stream_of
from serving import pictures, serving

import diffc_client
from diffc_client import Address, MemoryStream, Sender
from diffc_client.remote.http_ranges import FIRST_RANGE, MOST_RANGE, OVERLAP, RangeLink, how_far
from diffc_stream.codec import Curve
from diffc_stream.errors import (
    AddressError,
    LinkLost,
    NothingDecodable,
    PeerError,
    RemoteProtocolError,
    UnknownImage,
)
from diffc_stream.session import MAX_STREAM, Code, End, Reason, Target, Terms
from diffc_stream.transport.backoff import Backoff

LENGTH = 100_000
STREAM = stream_of("a.png", LENGTH)
PIXELS = WIDTH * HEIGHT


@dataclass(slots=True)
class Store:
    """A server of files such as object stores are, and what it can get wrong."""

    files: dict[str, bytes] = field(default_factory=lambda: {"a.png.dfc": STREAM})
    ranges: bool = True
    total: bool = True
    """Says how long files are."""
    length: bool = True
    """Says how long its answers are."""
    chunk: int = 0
    """Size of chunks, if answers come in chunks."""
    keep: bool = True
    """Keeps connections."""
    most: int = MAX_STREAM
    """Bytes of a range."""
    drop: int | None = None
    """Byte of a file after which the connection breaks, once."""
    tag: Callable[[bytes], str | None] = lambda _: '"1"'
    status: list[str] = field(default_factory=list)
    """What to answer instead, first."""
    asked: list[str] = field(default_factory=list)
    """Ranges asked for."""
    connections: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        while await self._exchange(reader, writer) and self.keep:
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = request.strip().split("\r\n")
        name = line.split(" ")[1].removeprefix("/")
        assert line == f"GET /{name} HTTP/1.1"
        [span] = re.findall(r"Range: bytes=([0-9]+-[0-9]+)", request)
        assert any(field.startswith("Host: 127.0.0.1:") for field in fields)
        self.asked.append(span)
        if self.status:
            writer.write(self.status.pop(0).encode())
            return False
        if name not in self.files:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        data = self.files[name]
        first, last = (int(number) for number in span.split("-"))
        head = ["HTTP/1.1 200 OK"]
        body, place = data, 0
        if self.ranges and first >= len(data):
            head, body = ["HTTP/1.1 416 No", f"Content-Range: bytes */{len(data)}"], b""
        elif self.ranges:
            place = first
            body = data[first : min(last + 1, first + self.most)]
            total = len(data) if self.total else "*"
            head = ["HTTP/1.1 206 Partial"]
            head += [f"Content-Range: bytes {first}-{first + len(body) - 1}/{total}"]
        if (tag := self.tag(data)) is not None:
            head.append(f"ETag: {tag}")
        return await self._send(writer, head, body, place)

    async def _send(
        self, writer: asyncio.StreamWriter, head: list[str], body: bytes, place: int
    ) -> bool:
        if self.chunk:
            head.append("Transfer-Encoding: chunked")
        elif self.length:
            head.append(f"Content-Length: {len(body)}")
        if not self.keep:
            head.append("Connection: close")
        writer.write("\r\n".join([*head, "", ""]).encode())
        if self.drop is not None and self.drop < place + len(body):
            cut = body[: self.drop - place]
            writer.write(b"%x\r\n%b" % (len(cut) + 1, cut) if self.chunk else cut)
            self.drop = None
            return False
        if self.chunk:
            pieces = [body[i : i + self.chunk] for i in range(0, len(body), self.chunk)]
            body = b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            body += b"0\r\nExpires: never\r\n\r\n"
        writer.write(body)
        await writer.drain()
        return self.length


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def offering(handler: Handler) -> AsyncIterator[str]:
    """Serve, and give the address."""
    connections = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    try:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for connection in connections:
            assert connection is not None
            await connection


@asynccontextmanager
async def visiting(url: str, *, idle: float = 60.0) -> AsyncIterator[Sender]:
    async with diffc_client.connect(
        url, decoders=FakeDecoders(), patience=0.0, terms=Terms(idle=idle)
    ) as sender:
        yield sender


async def received(store: Store, kept: MemoryStream, **target: float) -> Reason:
    async with offering(store) as url, visiting(url) as sender:
        return await sender.receive("a.png.dfc", kept, **target)  # type: ignore[arg-type]


def holding(data: bytes) -> MemoryStream:
    kept = MemoryStream()
    kept.append(data)
    return kept


STORES = {
    "as it should be": Store(),
    "no ranges": Store(ranges=False),
    "no ranges, no length": Store(ranges=False, length=False),
    "no ranges, chunks": Store(ranges=False, chunk=777),
    "chunks": Store(chunk=300),
    "closes": Store(keep=False),
    "no total": Store(total=False),
    "no tag": Store(tag=lambda _: None),
    "short ranges": Store(most=500),
    "until it closes": Store(length=False),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    ("target", "length"),
    [({}, LENGTH), ({"bytes": 3000}, 3000), ({"bpp": 4.0}, PIXELS // 2), ({"bytes": 20}, 20)],
)
@pytest.mark.parametrize("held", [0, 1, 5, 70, 599])
async def test_any_server_will_do(
    kind: str, target: dict[str, float], length: int, held: int
) -> None:
    kept = holding(STREAM[:held])
    reason = await received(STORES[kind], kept, **target)
    assert reason is (Reason.TARGET if target else Reason.COMPLETE)
    assert kept.read() == STREAM[: max(held, length)]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["no ranges", "as it should be"])
async def test_a_stream_that_is_here_already(kind: str) -> None:
    kept = holding(STREAM)
    assert await received(STORES[kind], kept) is Reason.COMPLETE
    assert kept.length == LENGTH


@pytest.mark.asyncio
async def test_ranges_grow_and_go_no_further_than_needed() -> None:
    store = Store()
    assert await received(store, MemoryStream(), bytes=LENGTH - 1) is Reason.TARGET
    spans = [tuple(map(int, span.split("-"))) for span in store.asked]
    assert spans[0] == (0, FIRST_RANGE - 1)
    sizes = [last + 1 - first for first, last in spans]
    assert sizes[1:4] == [OVERLAP + FIRST_RANGE * n for n in (2, 4, 8)]
    assert max(sizes) <= MOST_RANGE + OVERLAP
    assert spans[-1][1] == LENGTH - 2
    for (_, last), (first, _) in pairwise(spans):
        assert first == last + 1 - OVERLAP
    assert store.connections == 1


@pytest.mark.asyncio
async def test_a_rate_is_known_with_the_header() -> None:
    store = Store()
    assert await received(store, MemoryStream(), bpp=8.0) is Reason.TARGET
    assert store.asked == [f"0-{FIRST_RANGE - 1}", f"{FIRST_RANGE - OVERLAP}-{PIXELS - 1}"]


def test_how_far_by_length() -> None:
    def far(target: Target, pixels: int | None) -> int:
        return how_far(target, pixels, Curve())

    assert far(Target(), None) == MAX_STREAM
    assert far(Target(bytes=1000, bpp=1.0), None) == 1000
    assert far(Target(bytes=1000, bpp=1.0), 160) == 20
    assert far(Target(bytes=10, bpp=1.0), 160) == 10
    assert far(Target(psnr=30.0, side=10), 160) == MAX_STREAM


def real() -> bytes:
    vectors = Path(__file__).parent / "vectors" / "stream.json"
    return bytes.fromhex(json.loads(vectors.read_text())["stream"])


def test_how_far_by_what_came() -> None:
    stream, curve = real(), Curve()
    assert how_far(Target(side=16, psnr=20.0), 64 * 64, curve) == MAX_STREAM
    curve.feed(stream)
    place = next(n for n, psnr in enumerate(curve.psnr()) if psnr >= 22.0)
    assert how_far(Target(psnr=22.0), 64 * 64, curve) == curve.offsets[place]
    assert how_far(Target(psnr=1.0), 64 * 64, curve) == curve.offsets[1]
    assert how_far(Target(psnr=60.0), 64 * 64, curve) == MAX_STREAM
    assert how_far(Target(side=16), 64 * 64, curve) == curve.opening(16)
    assert how_far(Target(side=64), 64 * 64, curve) == MAX_STREAM


@pytest.mark.asyncio
@pytest.mark.parametrize("held", [0, 60, 100])
async def test_a_side_that_needs_no_more(held: int) -> None:
    stream, curve = real(), Curve()
    curve.feed(stream)
    end = curve.opening(32)
    assert end is not None
    store = Store(files={"a.png.dfc": stream})
    kept = holding(stream[:held])
    assert await received(store, kept, side=32) is Reason.TARGET
    assert kept.read() == stream[:end]
    # What came beyond that was not kept, and comes again when it is wanted.
    assert await received(store, kept, bytes=end + 10, psnr=99.0) is Reason.TARGET
    assert await received(store, kept) is Reason.COMPLETE
    assert kept.read() == stream


@pytest.mark.asyncio
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_target_that_changes_meanwhile(ranges: bool) -> None:
    async with offering(Store(ranges=ranges)) as url:
        link = await RangeLink.dial(Address.parse(url), terms=Terms())
        arrivals = link.open("a.png.dfc", held=b"", target=Target(bytes=500))
        data = b""
        while not isinstance(event := await arrivals.next(), End):
            data += event.payload
            arrivals.update(Target(bytes=3000), 1.0)
        await link.close()
    assert (event.reason, event.length) == (Reason.TARGET, 3000)
    assert data == STREAM[:3000]


@pytest.mark.asyncio
async def test_pictures_get_better() -> None:
    async with offering(Store()) as url, visiting(url) as sender:
        seen = [refinement async for refinement in sender.open("a.png.dfc")]
    sizes = [refinement.bytes for refinement in seen]
    assert sizes == sorted(sizes)
    assert seen[0].bytes <= FIRST_RANGE
    assert (seen[-1].bytes, seen[-1].complete) == (LENGTH, True)


@pytest.mark.asyncio
async def test_leaving_the_loop_ends_the_download() -> None:
    store = Store(ranges=False, files={"a.png.dfc": STREAM * 100})
    async with offering(store) as url, visiting(url) as sender:
        async with aclosing(sender.open("a.png.dfc")) as refinements:
            async for _ in refinements:
                break
        async for refinement in sender.open("a.png.dfc", bytes=500):
            assert refinement.bytes <= 500
    assert store.connections == 2


@pytest.mark.asyncio
async def test_a_connection_is_kept_when_no_more_is_wanted_or_there_is_no_such_stream() -> None:
    store = Store()
    async with offering(store) as url, visiting(url) as sender:
        kept = MemoryStream()
        assert await sender.receive("a.png.dfc", kept, bytes=500) is Reason.TARGET
        assert kept.length == 500
        with pytest.raises(UnknownImage):
            await sender.receive("b.png.dfc", MemoryStream())
        assert await sender.receive("a.png.dfc", MemoryStream()) is Reason.COMPLETE
    assert store.connections == 1


@pytest.mark.asyncio
async def test_connections_are_kept_for_the_next_stream() -> None:
    store = Store()
    async with offering(store) as url, visiting(url) as sender:
        for _ in range(3):
            assert await sender.receive("a.png.dfc", MemoryStream()) is Reason.COMPLETE
    assert store.connections == 1


@pytest.mark.asyncio
async def test_several_streams_at_once() -> None:
    async def fetch(sender: Sender) -> bytes:
        kept = MemoryStream()
        await sender.receive("a.png.dfc", kept)
        return kept.read()

    async with offering(Store()) as url, visiting(url) as sender:
        assert await asyncio.gather(*(fetch(sender) for _ in range(5))) == [STREAM] * 5


@pytest.mark.asyncio
async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    store = Store(status=[""])
    async with offering(store) as url, visiting(url) as sender:
        assert await sender.receive("a.png.dfc", MemoryStream()) is Reason.COMPLETE


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
    with pytest.raises(RemoteProtocolError, match="no stream but text/html, a page to log in") as e:
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
        (refused("301 Moved", "Location: http://x/"), RemoteProtocolError, "elsewhere: http://x/"),
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
        (refused("100 Continue") * 9, RemoteProtocolError, "announcing"),
        (refused("503 Busy"), LinkLost, "HTTP 503"),
        (refused("429 Slow down"), LinkLost, "HTTP 429"),
        ("HTTP/2 200 OK\r\n\r\n", RemoteProtocolError, "something else"),
        ("SSH-2.0-OpenSSH\r\n", RemoteProtocolError, "something else"),
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


@pytest.mark.asyncio
async def test_there_is_no_catalogue() -> None:
    async with offering(Store()) as url, visiting(url) as sender:
        with pytest.raises(AddressError, match="does not say what it has"):
            await sender.images()


@pytest.mark.asyncio
async def test_what_follows_a_question_mark_is_asked_for_with_every_range() -> None:
    store = Store(files={"a.png.dfc?X-Sig=1%2F2&exp=9": STREAM}, most=500)
    async with offering(store) as url, visiting(f"{url}/a.png.dfc?X-Sig=1%2F2&exp=9") as sender:
        kept = MemoryStream()
        assert await sender.receive("a.png.dfc", kept) is Reason.COMPLETE
        assert kept.read() == STREAM
        with pytest.raises(UnknownImage):
            await sender.receive("b.png.dfc", MemoryStream())


@pytest.mark.asyncio
async def test_names_are_encoded_and_hints_given() -> None:
    store = Store(files={"sub/b%20%C3%A4.dfc": STREAM})
    async with offering(store) as url, visiting(url) as sender:
        kept = MemoryStream()
        assert await sender.receive("sub/b ä.dfc", kept) is Reason.COMPLETE
        with pytest.raises(UnknownImage, match=r"PICTURE\.dfc"):
            await sender.receive("a.png", kept)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["a.png.dfc", "ready.dfc"])
async def test_our_own_daemon_is_one_of_them(tmp_path: Path, name: str) -> None:
    folder = pictures(tmp_path)
    (folder / "ready.dfc").write_bytes(stream_of("ready.dfc", LENGTH))
    stream = stream_of(name.replace("a.png.dfc", "a.png"), LENGTH)
    opener = FakeOpener(length=LENGTH)
    async with serving(folder, opener) as daemon:
        async with visiting(daemon.url.replace("ws:", "http:")) as sender:
            kept = MemoryStream()
            assert await sender.receive(name, kept, bytes=5000) is Reason.TARGET
            if name == "a.png.dfc":
                assert opener.computed["a.png"] <= 5000 + opener.piece
            assert await sender.receive(name, kept) is Reason.COMPLETE
            assert kept.read() == stream
        # What was begun over HTTP goes on over a WebSocket.
        async with visiting(daemon.url) as sender:
            kept = holding(stream[:1234])
            await sender.receive(name.replace("a.png.dfc", "a.png"), kept)
            assert kept.read() == stream
