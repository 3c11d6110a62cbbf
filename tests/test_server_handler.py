"""Plain HTTP requests to the sender daemon."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context

import pytest
from authority import issue
from fakes import FakeOpener, stream_of
from serving import pictures, serving, settled
from test_server_daemon import dial
from test_viewer_assets import viewer
from websockets.exceptions import InvalidStatus

from diffc_server import Pipeline, SenderDaemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_server.encoding.pipeline import LOOK_AHEAD
from diffc_server.http.stream_body import MEDIA_TYPE, MOST_RANGE
from diffc_server.websocket.handshake import IncomingConnection
from diffc_stream.session import Terms
from diffc_stream.transport.tokens import Tokens, add_token
from diffc_viewer import Assets, Facts, Site

LENGTH = 5000
STREAM = stream_of("a.png", LENGTH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = pictures(tmp_path)
    (folder / "ready.dfc").write_bytes(stream_of("ready.dfc", LENGTH))
    (folder / "broken.png").write_bytes(b"broken")
    return folder


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def tag(self) -> str:
        return self.fields["ETag"]


@asynccontextmanager
async def asking(
    daemon: SenderDaemon, request: bytes, *, limit: int = 2**16
) -> AsyncIterator[asyncio.StreamReader]:
    """Send something, and give what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port, limit=limit)
    try:
        writer.write(request)
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


def request(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    named = any(field.lower().startswith("host:") for field in fields)
    host = [] if named or version == "1.0" else ["Host: localhost:8765"]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *host, *fields, "", ""]).encode()


async def head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    return int(line.split(" ")[1]), dict(field.split(": ", 1) for field in fields)


async def ask(daemon: SenderDaemon, path: str, *fields: str, method: str = "GET") -> Answer:
    async with asking(daemon, request(path, *fields, method=method)) as reader:
        status, found = await head_of(reader)
        body = await reader.read()
    assert found["Connection"] == "close"
    if found.get("Transfer-Encoding") == "chunked":
        assert "Content-Length" not in found
        body = unchunked(body)
    elif method != "HEAD" and status != 304:
        assert int(found["Content-Length"]) == len(body)
    else:
        assert body == b""
    return Answer(status, found, body)


def unchunked(body: bytes) -> bytes:
    data = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        chunk, body = body[: int(size, 16)], body[int(size, 16) :]
        assert body.startswith(b"\r\n")
        body = body[2:]
        data += chunk
        if not chunk:
            assert body == b""
            return data


@pytest.mark.asyncio
async def test_a_range_is_encoded_and_no_more(folder: Path) -> None:
    opener = FakeOpener(length=100_000)
    async with serving(folder, opener) as daemon:
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=100-1099")
        assert answer.status == 206
        assert answer.body == stream_of("a.png", 1100)[100:]
        assert answer.fields["Content-Range"] == "bytes 100-1099/*"
        assert answer.fields["Content-Type"] == MEDIA_TYPE
        assert answer.fields["Accept-Ranges"] == "bytes"
        assert opener.computed["a.png"] < 1100 + opener.piece
        assert all(stream.idle for stream in daemon._pipeline._held)
    assert opener.opened == ["a.png"]


@pytest.mark.asyncio
async def test_the_end_of_a_stream_tells_its_length(folder: Path) -> None:
    async with serving(folder) as daemon:
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=4000-")
        assert (answer.status, answer.body) == (206, STREAM[4000:])
        assert answer.fields["Content-Range"] == "bytes 4000-4999/5000"
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=-10")
        assert (answer.status, answer.body) == (206, STREAM[-10:])
        beyond = await ask(daemon, "/a.png.dfc", "Range: bytes=5000-")
        assert (beyond.status, beyond.fields["Content-Range"]) == (416, "bytes */5000")


@pytest.mark.asyncio
async def test_a_long_range_is_answered_with_its_beginning(folder: Path) -> None:
    opener = FakeOpener(length=200_000)
    async with serving(folder, opener) as daemon:
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=10-180000")
        assert answer.fields["Content-Range"] == f"bytes 10-{10 + MOST_RANGE - 1}/*"
        # There is no telling where the end is without encoding all of it.
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=-10")
        assert (answer.status, len(answer.body)) == (200, 200_000)
        beyond = await ask(daemon, "/b.png.dfc", f"Range: bytes={2**26}-")
        assert (beyond.status, "Content-Range" in beyond.fields) == (416, False)
    assert "b.png" not in opener.computed


@pytest.mark.asyncio
@pytest.mark.parametrize("last", ["", str(2**26 - 1), str(10**20)])
async def test_who_asks_for_the_rest_gets_all_of_it(
    folder: Path, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As curl -C - and wget -c do, which take an answer's end for the stream's.
    monkeypatch.setattr("diffc_server.http.stream_body.PATIENCE", 0.0)
    monkeypatch.setattr("diffc_server.http.stream_body.MOST_RANGE", 100)
    for first, name in ((1, "a.png"), (3000, "b.png"), (4999, "c.jpg")):
        path = f"/{'sub/' if name == 'c.jpg' else ''}{name}.dfc"
        async with serving(folder) as daemon:
            answer = await ask(daemon, path, f"Range: bytes={first}-{last}")
        assert (answer.status, answer.body) == (206, stream_of(name, LENGTH)[first:])
        assert answer.fields["Content-Range"] == f"bytes {first}-4999/5000"
    async with serving(folder) as daemon:
        beyond = await ask(daemon, "/a.png.dfc", f"Range: bytes=5000-{last}")
        assert (beyond.status, beyond.fields["Content-Range"]) == (416, "bytes */5000")
    async with serving(folder) as daemon:
        # From the start that is everything, and comes as it is encoded.
        answer = await ask(daemon, "/a.png.dfc", f"Range: bytes=0-{last}")
        assert (answer.status, answer.body) == (200, STREAM)


@pytest.mark.asyncio
async def test_who_waits_for_the_rest_and_leaves_stops_the_encoder(folder: Path) -> None:
    gate = threading.Semaphore(3)
    async with serving(folder, FakeOpener(length=10**6, gate=gate)) as daemon:
        async with asking(daemon, request("/a.png.dfc", "Range: bytes=500-")):
            await settled(lambda: daemon.connections == 1)
        await settled(lambda: daemon.connections == 0)
        [stream] = daemon._pipeline._held
        assert stream.idle
        gate.release(10**4)
        await settled(lambda: stream._task is None)
        assert len(stream) < 10_000


@pytest.mark.asyncio
async def test_a_range_that_takes_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_server.http.stream_body.PATIENCE", 0.05)
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=0-999")
        assert (answer.status, int(answer.fields["Retry-After"]) > 0) == (503, True)
        monkeypatch.setattr(
            "diffc_server.http.stream_body.PATIENCE", 1.0
        )  # enough for what is let through
        gate.release(2)
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=0-999")
        assert (answer.status, answer.fields["Content-Range"]) == (206, "bytes 0-599/*")
        assert answer.body == STREAM[:600]
        gate.release(100)


@pytest.mark.asyncio
async def test_everything_comes_as_it_is_encoded(folder: Path) -> None:
    gate = threading.Semaphore(2)
    async with (
        serving(folder, FakeOpener(gate=gate)) as daemon,
        asking(daemon, request("/a.png.dfc")) as reader,
    ):
        status, fields = await head_of(reader)
        assert (status, fields["Transfer-Encoding"]) == (200, "chunked")
        first = await reader.readline()
        assert int(first, 16) in (300, 600)
        gate.release(100)
        assert unchunked(first + await reader.read()) == STREAM


@pytest.mark.asyncio
async def test_everything_that_is_there_already(folder: Path) -> None:
    async with serving(folder) as daemon:
        for _ in range(2):
            answer = await ask(daemon, "/a.png.dfc")
            assert (answer.status, answer.body) == (200, STREAM)
        assert answer.fields["Content-Length"] == "5000"
        for ignored in ("bytes=0-1,4-5", "bytes=5-4", "lines=1-2"):
            answer = await ask(daemon, "/a.png.dfc", f"Range: {ignored}")
            assert (answer.status, answer.body) == (200, STREAM)
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=0-1", "Range: bytes=2-3")
        assert answer.status == 200


@pytest.mark.asyncio
async def test_other_upgrades_are_passed_over(folder: Path) -> None:
    async with serving(folder) as daemon:
        fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
        assert (await ask(daemon, "/a.png.dfc", *fields)).body == STREAM


@pytest.mark.asyncio
async def test_an_old_client_gets_everything_until_the_end(folder: Path) -> None:
    async with (
        serving(folder) as daemon,
        asking(daemon, request("/a.png.dfc", version="1.0")) as reader,
    ):
        status, fields = await head_of(reader)
        assert (status, "Transfer-Encoding" in fields, "Content-Length" in fields) == (
            *(200, False, False),
        )
        assert await reader.read() == STREAM


@pytest.mark.asyncio
async def test_a_client_that_reads_slowly_holds_the_encoder_back(folder: Path) -> None:
    opener = FakeOpener(length=30_000_000, piece=4096)
    async with (
        serving(folder, opener) as daemon,
        asking(daemon, request("/a.png.dfc"), limit=1024) as reader,
    ):
        await head_of(reader)
        connection = next(iter(daemon._requests))._connection
        await settled(lambda: connection.paused)
        sent = opener.computed["a.png"]
        assert sent < 20_000_000  # what systems hold for sockets
        assert connection.transport.get_write_buffer_size() < 20_000
        for _ in range(100):
            await asyncio.sleep(0)
        assert opener.computed["a.png"] <= sent + LOOK_AHEAD + opener.piece


@pytest.mark.asyncio
async def test_a_client_that_does_not_read_is_cut_off(folder: Path) -> None:
    opener = FakeOpener(length=30_000_000, piece=4096)
    async with (
        serving(folder, opener, terms=Terms(idle=0.01)) as daemon,
        asking(daemon, request("/a.png.dfc"), limit=1024) as reader,
    ):
        await head_of(reader)
        await settled(lambda: daemon.connections == 0)
        with pytest.raises((ConnectionError, AssertionError)):
            unchunked(await reader.read())


@pytest.mark.asyncio
async def test_a_client_that_leaves_stops_the_encoder(folder: Path) -> None:
    gate = threading.Semaphore(3)
    async with serving(folder, FakeOpener(length=10**6, gate=gate)) as daemon:
        async with asking(daemon, request("/a.png.dfc", "Range: bytes=60000-")):
            await settled(lambda: daemon.connections == 1)
        await settled(lambda: daemon.connections == 0)
        [stream] = daemon._pipeline._held
        assert stream.idle
        gate.release(10**4)
        await settled(lambda: stream._task is None)
        assert len(stream) < 10_000


@pytest.mark.asyncio
async def test_streams_that_are_ready(folder: Path) -> None:
    stream = stream_of("ready.dfc", LENGTH)
    async with serving(folder) as daemon:
        answer = await ask(daemon, "/ready.dfc", "Range: bytes=0-9")
        assert (answer.status, answer.body) == (206, stream[:10])
        assert answer.fields["Content-Range"] == "bytes 0-9/5000"
        assert (await ask(daemon, "/ready.dfc")).body == stream
        tag = answer.tag
    # Its tag is its content's.
    async with serving(folder) as daemon:
        assert (await ask(daemon, "/ready.dfc")).tag == tag


@pytest.mark.asyncio
async def test_names(folder: Path) -> None:
    (folder / "b ä?.png").write_bytes(b"")
    (folder / "both.png").write_bytes(b"")
    (folder / "both.png.dfc").write_bytes(stream_of("both.png.dfc", LENGTH))
    async with serving(folder) as daemon:
        for path, name in [
            ("/sub/c.jpg.dfc", "c.jpg"),
            ("/sub%2Fc.jpg.DFC", "c.jpg"),
            ("/b%20%C3%A4%3F.png.dfc?v=2", "b ä?.png"),
            ("/both.png.dfc", "both.png.dfc"),
        ]:
            assert (await ask(daemon, path)).body == stream_of(name, LENGTH)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/a.png",
            "/z.png.dfc",
            "/ready.dfc.dfc",
            "/.dfc",
            "/sub.dfc",
            "/sub/",
            "//a.png.dfc",
        ),
        *("/../served/a.png.dfc", "/%2e%2e/served/a.png.dfc", "/sub/../a.png.dfc", "/a.png%00.dfc"),
        *("/%ff.dfc", "a.png.dfc", "http://localhost/a.png.dfc", "*", "/" + "x" * 3000 + ".dfc"),
        "/sub%5Cc.jpg.dfc",
    ],
)
async def test_what_is_not_there(folder: Path, path: str) -> None:
    async with serving(folder) as daemon:
        answer = await ask(daemon, path)
        assert answer.status == 404
        assert answer.body == b"there is no such stream; they are called PICTURE.dfc\n"
        assert answer.fields["Cache-Control"] == "no-store"


@pytest.mark.asyncio
async def test_head_computes_nothing(folder: Path) -> None:
    opener = FakeOpener()
    async with serving(folder, opener) as daemon:
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=0-9", method="HEAD")
        assert (answer.status, "Content-Length" in answer.fields) == (200, False)
        assert opener.opened == []
        whole = await ask(daemon, "/a.png.dfc")
        answer = await ask(daemon, "/a.png.dfc", method="HEAD")
        assert (answer.tag, answer.fields["Content-Length"]) == (whole.tag, "5000")
        answer = await ask(daemon, "/ready.dfc", method="HEAD")
        assert (answer.status, answer.fields["Content-Length"]) == (200, "5000")
        assert (await ask(daemon, "/z.dfc", method="HEAD")).status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/a.png.dfc", "/ready.dfc"])
async def test_conditions(folder: Path, path: str) -> None:
    async with serving(folder) as daemon:
        tag = (await ask(daemon, path, "Range: bytes=0-9")).tag
        for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            answer = await ask(daemon, path, f"If-None-Match: {condition}", "Range: bytes=0-9")
            assert (answer.status, answer.tag) == (304, tag)
        assert (await ask(daemon, path, 'If-None-Match: "x"')).status == 200
        for condition, status in [(tag, 206), ('"x"', 200), (f"W/{tag}", 200), ("Sat", 200)]:
            answer = await ask(daemon, path, f"If-Range: {condition}", "Range: bytes=0-9")
            assert answer.status == status
        for condition, status in [(tag, 200), ("*", 200), ('"x"', 412), (f"W/{tag}", 412)]:
            assert (await ask(daemon, path, f"If-Match: {condition}")).status == status


@pytest.mark.asyncio
async def test_a_tag_means_the_same_bytes(folder: Path) -> None:
    async with serving(folder) as daemon:
        tags = [(await ask(daemon, f"/{name}.png.dfc")).tag for name in "aba"]
        assert tags[0] == tags[2] != tags[1]
        os.utime(folder / "a.png", ns=(1, 1))
        assert (await ask(daemon, "/a.png.dfc")).tag not in tags
        tag = (await ask(daemon, "/a.png.dfc")).tag
    # Another run may be on another machine, whose encoder rounds differently.
    async with serving(folder) as daemon:
        assert (await ask(daemon, "/a.png.dfc")).tag != tag


@pytest.mark.asyncio
async def test_a_picture_that_is_none(folder: Path) -> None:
    async with serving(folder) as daemon:
        for fields in ((), ("Range: bytes=0-9",)):
            answer = await ask(daemon, "/broken.png.dfc", *fields)
            assert (answer.status, answer.body) == (415, b"it cannot be read as a picture\n")
    async with serving(folder, FakeOpener(length=0)) as daemon:
        answer = await ask(daemon, "/a.png.dfc")
        assert (answer.status, answer.body) == (500, b"encoding it failed\n")


@pytest.mark.asyncio
async def test_a_failure_half_way_is_not_an_end(folder: Path) -> None:
    class Failing(FakeOpener):
        def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
            yield STREAM[:1000]
            raise RuntimeError("a bug in the encoder")

    async with (
        serving(folder, Failing()) as daemon,
        asking(daemon, request("/a.png.dfc")) as reader,
    ):
        assert (await head_of(reader))[0] == 200
        with pytest.raises((ConnectionError, ValueError, AssertionError)):
            unchunked(await reader.read())


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE"])
async def test_other_methods(folder: Path, method: str) -> None:
    async with serving(folder) as daemon:
        answer = await ask(daemon, "/a.png.dfc", method=method)
        assert (answer.status, answer.fields["Allow"]) == (405, "GET, HEAD")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("Host: localhost", 200),
        ("Host: LOCALHOST:1", 200),
        ("Host: diffc.localhost:8765", 200),
        ("Host: 127.0.0.1:8765", 200),
        ("Host: [::1]:8765", 200),
        ("Host: rebound.example:8765", 421),
        ("Host: localhost.example", 421),
        ("Host: [::1", 421),
        ("Host:", 421),
        ("Origin: http://localhost:8765", 403),
        ("Origin: null", 403),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: same-origin", 403),
        ("Sec-Fetch-Site: none", 200),
    ],
)
async def test_pages_in_browsers(folder: Path, field: str, status: int) -> None:
    opener = FakeOpener()
    async with serving(folder, opener) as daemon:
        answer = await ask(daemon, "/a.png.dfc", field)
        assert answer.status == status
        assert not any(name.startswith("Access-Control") for name in answer.fields)
    assert bool(opener.opened) is (status == 200)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Assets(home=viewer(tmp_path / "viewer")), Facts(compare=True))


@pytest.mark.asyncio
async def test_the_viewer(folder: Path, site: Site) -> None:
    async with serving(folder, site=site) as daemon:
        page = await ask(daemon, "/?x")
        assert (page.status, page.body) == (200, b"page/index.html")
        assert page.fields["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert "ws://localhost:8765" in page.fields["Content-Security-Policy"]
        for condition, status in ((page.tag, 304), ('"x"', 200)):
            assert (await ask(daemon, "/", f"If-None-Match: {condition}")).status == status
        assert (await ask(daemon, "/", method="HEAD")).fields["Content-Length"] == "15"
        runtime = "/-/vendor/onnxruntime-web/ort.wasm"
        small = await ask(daemon, runtime, "Accept-Encoding: gzip", "Accept-Encoding: br")
        assert small.fields["Content-Encoding"] == "br"
        assert small.body == b"vendor/onnxruntime-web/ort.wasm.br"
        assert b'"compare": true' in (await ask(daemon, "/-/viewer.json")).body
        for path in ("/-/", "/-/page/../js/index.js", "/-/a.png.dfc", "/-/compare/a.png"):
            assert (await ask(daemon, path)).status == 404
        # What was there before is there still.
        assert (await ask(daemon, "/a.png.dfc")).body == STREAM
        answer = await ask(daemon, "/a.png.dfc", "Sec-Fetch-Site: same-origin")
        assert (answer.status, answer.body) == (200, STREAM)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/a.png.dfc", "/-/viewer.json", "/"])
async def test_the_viewer_is_for_its_own_site(folder: Path, site: Site, path: str) -> None:
    async with serving(folder, site=site) as daemon:
        for fields, status in [
            (("Host: station:1", "Origin: http://station:1"), 200),
            (("Host: station:1", "Origin: http://station:2"), 403),
            (("Host: station:1", "Sec-Fetch-Site: cross-site"), 403),
            (("Host: rebound.example", "Origin: http://rebound.example"), 421),
            (("Host: rebound.example", "Sec-Fetch-Site: same-origin"), 421),
        ]:
            assert (await ask(daemon, path, *fields)).status == status


@pytest.mark.asyncio
async def test_pages_of_the_viewer_may_open_a_websocket(folder: Path, site: Site) -> None:
    async with serving(folder, site=site) as daemon:
        own = daemon.url.replace("ws:", "http:")
        async with dial(daemon.url, origin=own):
            pass
        async with dial(daemon.url):
            pass
        for origin in ("http://127.0.0.1:1", "https://example.org", "null"):
            with pytest.raises(InvalidStatus) as caught:
                await dial(daemon.url, origin=origin)
            assert caught.value.response.status_code == 403
    async with serving(folder) as daemon:
        with pytest.raises(InvalidStatus):
            await dial(daemon.url, origin=daemon.url.replace("ws:", "http:"))


@pytest.mark.asyncio
async def test_hosts_are_named_once(folder: Path) -> None:
    async with serving(folder) as daemon:
        answer = await ask(daemon, "/a.png.dfc", "Host: localhost", "Host: localhost")
        assert answer.status == 400
        nameless = request("/a.png.dfc").replace(b"Host: localhost:8765\r\n", b"")
        async with asking(daemon, nameless) as reader:
            assert (await head_of(reader))[0] == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("junk", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 9000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (request("/a.png.dfc", "Content-Length: 3", method="POST") + b"abc", b""),
        (b"\x16\x03\x01\r\n\r\n", b""),
    ],
    ids=["line", "header", "headers", "body", "tls"],
)
async def test_junk(folder: Path, junk: bytes, status: bytes) -> None:
    async with serving(folder) as daemon:
        async with asking(daemon, junk) as reader:
            try:
                assert (await reader.readline()).split(b" ")[1:2] == ([status] if status else [])
            except ConnectionError:
                assert not status
        assert (await ask(daemon, "/a.png.dfc")).status == 200


@pytest.mark.asyncio
async def test_one_request_and_no_more(folder: Path) -> None:
    twice = request("/a.png.dfc") * 2
    async with serving(folder) as daemon:
        async with asking(daemon, twice) as reader:
            with suppress(ConnectionError):
                assert await reader.read() == b""
        await settled(lambda: daemon.connections == 0)


@pytest.mark.asyncio
async def test_a_request_that_does_not_come(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_server.websocket.handshake.OPENING", 0.01)
    async with serving(folder) as daemon, asking(daemon, b"GET /a.png.dfc HT") as reader:
        with suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.asyncio
async def test_an_answer_may_take_longer_than_a_request(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        answering = asyncio.create_task(ask(daemon, "/a.png.dfc"))
        await settled(lambda: daemon.connections == 1)
        [handler] = daemon._requests
        assert isinstance(handler._connection, IncomingConnection)
        assert handler._connection.deadline.when() is None
        gate.release(100)
        assert (await answering).body == STREAM


@pytest.mark.asyncio
async def test_requests_count_as_connections(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate), connections=1) as daemon:
        first = asyncio.create_task(ask(daemon, "/a.png.dfc"))
        await settled(lambda: daemon.connections == 1)
        assert (await ask(daemon, "/ready.dfc")).status == 503
        gate.release(100)
        assert (await first).body == STREAM
        await settled(lambda: daemon.connections == 0)
        async with dial(daemon.url):
            await settled(lambda: daemon.connections == 1)
            assert (await ask(daemon, "/ready.dfc")).status == 503


@pytest.mark.asyncio
async def test_too_many_pictures(folder: Path) -> None:
    gate = threading.Semaphore(0)
    pipeline = Pipeline(FakeOpener(gate=gate), seats=1, queue=0)
    async with serving(folder, pipeline=pipeline) as daemon:
        async with asking(daemon, request("/a.png.dfc")):
            await settled(lambda: pipeline.slots.in_use == 1)
            answer = await ask(daemon, "/b.png.dfc")
            assert (answer.status, answer.fields["Retry-After"]) == (503, "5")
        gate.release(100)


@pytest.mark.asyncio
async def test_draining_waits_for_no_encoder(folder: Path) -> None:
    gate = threading.Semaphore(2)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        waiting = asyncio.create_task(ask(daemon, "/a.png.dfc", "Range: bytes=4000-4999"))
        async with asking(daemon, request("/a.png.dfc")) as reader:
            assert (await head_of(reader))[0] == 200
            await settled(lambda: daemon.connections == 2)
            await daemon.drain()
            assert (await waiting).status == 503
            with pytest.raises((ConnectionError, AssertionError, ValueError)):
                unchunked(await reader.read())
        gate.release(100)


@pytest.mark.asyncio
async def test_aborting_waits_for_nothing(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with serving(folder, FakeOpener(gate=gate)) as daemon:
        async with asking(daemon, request("/a.png.dfc")) as reader:
            await settled(lambda: daemon.connections == 1)
            await daemon.abort()
            with suppress(ConnectionError):
                assert await reader.read() == b""
        gate.release(100)


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_what_is_too_much_waits_here_too(folder: Path) -> None:
    clock = asyncio.get_running_loop().time
    reception = AccessControl(limits=Limits(bytes_per_second=500.0), clock=clock)
    async with serving(folder, FakeOpener(length=20_000), reception=reception) as daemon:
        began = clock()
        answer = await ask(daemon, "/a.png.dfc")
        assert answer.body == stream_of("a.png", 20_000)
        assert 20 < clock() - began < 40


@pytest.mark.asyncio
async def test_what_takes_a_token_is_for_no_cache_on_the_way(folder: Path, tmp_path: Path) -> None:
    held = tmp_path / "tokens.toml"
    token = add_token(held, "ship")
    site = Site(Assets(home=viewer(tmp_path / "viewer")))
    async with serving(folder, site=site, reception=AccessControl(tokens=Tokens(held))) as daemon:
        bearer = f"Authorization: Bearer {token}"
        for path in ("/ready.dfc", "/a.png.dfc", "/"):
            answer = await ask(daemon, path, bearer)
            assert answer.fields["Cache-Control"].startswith("private, max-age=")
            assert "Set-Cookie" not in answer.fields
        answer = await ask(daemon, "/gone.dfc", bearer)
        assert (answer.status, answer.fields["Cache-Control"]) == (404, "no-store")
        refused = await ask(daemon, "/ready.dfc")
        assert (refused.status, refused.fields["Cache-Control"]) == (401, "no-store")
        assert "Server" not in refused.fields


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_over_tls_the_end_is_told(folder: Path, tmp_path: Path) -> None:
    """Of TLS no half can be closed: who reads until the end gets it, and does not wait for it."""
    issued = issue(tmp_path)
    clock = asyncio.get_running_loop().time
    async with serving(folder, certificate=issued.certificate) as daemon:
        reader, writer = await asyncio.open_connection(
            "localhost", daemon.port, ssl=create_default_context(cafile=issued.ca)
        )
        began = clock()
        writer.write(request("/a.png.dfc"))
        assert STREAM[-300:] in await reader.read()
        assert clock() - began < 2.0
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
