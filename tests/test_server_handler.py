"""Plain HTTP requests to the sender daemon."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from ssl import create_default_context

import pytest
from authority import issue
from fakes import FakeOpener, stream_of
from http_client import ask, asking, head_of, request, unchunked
from serving import pictures, serving, settled

from diffc_server import Pipeline
from diffc_server.encoding.pipeline import LOOK_AHEAD
from diffc_server.http.stream_body import MEDIA_TYPE, MOST_RANGE
from diffc_stream.session import Terms

LENGTH = 5000
STREAM = stream_of("a.png", LENGTH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = pictures(tmp_path)
    (folder / "ready.dfc").write_bytes(stream_of("ready.dfc", LENGTH))
    (folder / "broken.png").write_bytes(b"broken")
    return folder


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
        assert (await ask(daemon, "/a.png.dfc")).tag == tags[0]
        (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
        assert (await ask(daemon, "/b.png.dfc")).tag == tags[0]
        (folder / "a.png").write_bytes(b"another picture")
        assert (await ask(daemon, "/a.png.dfc")).tag not in tags


@pytest.mark.asyncio
async def test_senders_whose_encoders_are_the_same_have_the_same_tags(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    (copy / "other name.png").write_bytes((folder / "a.png").read_bytes())
    async with serving(folder) as daemon, serving(copy) as other:
        tag = (await ask(daemon, "/a.png.dfc")).tag
        assert (await ask(other, "/other%20name.png.dfc")).tag == tag
        answer = await ask(other, "/other%20name.png.dfc", f"If-None-Match: {tag}")
        assert (answer.status, answer.body) == (304, b"")
    # One whose encoder may round differently has another.
    pipeline = Pipeline(FakeOpener(), engine="0" * 16)
    async with serving(folder, pipeline=pipeline) as daemon:
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
