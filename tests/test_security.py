"""The security checklist: every threat of docs/security.md is tried, and comes to nothing."""

from __future__ import annotations

import ast
import asyncio
import base64
import hmac
import logging
import random
import re
import ssl
import tempfile
import threading
import tracemalloc
import warnings
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from authority import Issued, issue
from fakes import FakeDecoders, FakeOpener, stream_of
from http_client import head_of, request
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import pictures, serving, settled
from sources import model, stream
from viewer_files import viewer
from websocket_client import HELLO, everything, heard
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

import diffc_client
from diffc_server import Catalogue, Pipeline, SenderDaemon, daemon
from diffc_server.__main__ import main
from diffc_server.auth import access_control
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_server.cache.store import Outcome, Stored, open_store
from diffc_stream.codec import Decoder
from diffc_stream.container import Header
from diffc_stream.container.grammar import MAX_SIDE
from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import Collection
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.errors import (
    DiffcError,
    LinkLost,
    NothingDecodable,
    PictureTooLarge,
    RemoteProtocolError,
    SenderLeaving,
    StreamError,
    Unauthorized,
    UnknownModel,
    UnreadableModel,
)
from diffc_stream.session import (
    MAX_MESSAGE,
    SUBPROTOCOL,
    Ack,
    Code,
    Data,
    End,
    Error,
    Goaway,
    List,
    Open,
    Terms,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.messages import CONTROL
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.tokens import Tokens, add_token
from diffc_stream.transport.websocket import OPENING
from diffc_viewer import Assets, Site

ROOT = Path(__file__).parent.parent
CODE = [
    path
    for folder in ("diffc_stream", "server", "client", "benchmarks", "examples", "fuzz", "training")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in path.parts
]


@cache
def parsed() -> list[tuple[Path, list[ast.AST]]]:
    """Return all code of the project."""
    return [(path, list(ast.walk(ast.parse(path.read_text())))) for path in CODE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Assets(home=viewer(tmp_path / "viewer")))


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """The file of tokens."""
    return tmp_path / "tokens.toml"


def clock() -> float:
    return asyncio.get_running_loop().time()


def guard(held: Path, limits: Limits | None = None, *, secure: bool = False) -> AccessControl:
    return AccessControl(tokens=Tokens(held), limits=limits, secure=secure, clock=clock)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def dial(
    url: str,
    fields: dict[str, str] | None = None,
    *,
    origin: str | None = None,
    offers: Iterable[str] = (),
    secure: ssl.SSLContext | None = None,
) -> connect:
    return connect(
        url,
        subprotocols=[Subprotocol(offer) for offer in (SUBPROTOCOL, *offers)],
        additional_headers=fields,
        origin=Origin(origin) if origin else None,
        proxy=None,
        ssl=secure,
    )


async def status_of(opening: connect) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await opening
    status: int = caught.value.response.status_code
    return status


async def asked(port: int, *lines: bytes) -> bytes:
    """Return all that is answered to some bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.writelines(lines)
    with suppress(ConnectionError):
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer
    return b""


async def status(port: int, path: str, *fields: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(path, *fields))
    code, _ = await head_of(reader)
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return code


@asynccontextmanager
async def greeted(
    url: str, fields: dict[str, str] | None = None
) -> AsyncIterator[ClientConnection]:
    async with dial(url, fields) as websocket:
        await websocket.send(HELLO)
        assert isinstance(await heard(websocket), Welcome)
        yield websocket


@pytest.mark.asyncio
async def test_hijack_from_a_web_page(folder: Path, site: Site, held: Path) -> None:
    token = add_token(held, "ship")
    friend = "https://friend.example"
    async with serving(folder, site=site, reception=guard(held), origins=[friend]) as sender:
        own = sender.url.replace("ws:", "http:")
        cookies = [f"Cookie: diffc={token}"]
        cookie = {"Cookie": f"diffc={token}"}
        # What a browser adds by itself opens the door to our own page, and to no other.
        assert await status_of(dial(sender.url, cookie, origin="https://evil.example")) == 403
        assert await status_of(dial(sender.url, cookie, origin="null")) == 403
        assert await status_of(dial(sender.url, cookie)) == 401
        assert await status_of(dial(sender.url, cookie, origin=friend)) == 401
        async with dial(sender.url, cookie, origin=own):
            pass
        # A page that is welcome has to have a token itself.
        async with dial(sender.url, origin=friend, offers=[f"bearer.{token}"]) as websocket:
            assert websocket.subprotocol == SUBPROTOCOL
        # Neither can a page fetch anything, nor a name that was bent to lead here.
        password = base64.b64encode(f"me:{token}".encode()).decode()
        for field in ("Sec-Fetch-Site: cross-site", f"Origin: {friend}", "Origin: http://evil"):
            basic = f"Authorization: Basic {password}"
            assert await status(sender.port, "/a.png.dfc", basic, field) == 403
        assert await status(sender.port, "/a.png.dfc", f"Host: evil:{sender.port}") == 421
        evil = f"evil:{sender.port}"
        assert await status(sender.port, "/", *upgrade(evil, f"http://{evil}"), *cookies) == 421
    async with serving(folder, strict=True) as sender:
        assert await status(sender.port, "/", *upgrade("evil")) == 421
        assert await status(sender.port, "/", *upgrade("station")) == 101


def upgrade(host: str, *origins: str) -> list[str]:
    """Return the headers that open a WebSocket to whatever calls itself ``host``."""
    return [
        f"Host: {host}",
        *(f"Origin: {origin}" for origin in origins),
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
    ]


@pytest.mark.asyncio
async def test_plaintext_exposure(folder: Path, tmp_path: Path, held: Path) -> None:
    issued = issue(tmp_path)
    token = add_token(held, "ship")
    access_control = guard(held, secure=True)
    async with serving(folder, reception=access_control, certificate=issued.certificate) as sender:
        assert sender.url.startswith("wss://")
        assert await asked(sender.port, request("/a.png.dfc")) == b""
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await meet(sender.port, issued, ssl.TLSVersion.TLSv1_1)
        assert await meet(sender.port, issued, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert await meet(sender.port, issued, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        async with diffc_client.connect(
            sender.url, decoders=FakeDecoders(), token=token, ca=issued.ca
        ) as known:
            assert await known.images() == ["a.png", "b.png", "sub/c.jpg"]
        # Nobody else's certificate will do, nor is a token said where others can hear it.
        for url, ca, error in [
            (sender.url, None, RemoteProtocolError),
            ("ws://station.example", issued.ca, Unauthorized),
            ("http://station.example/a.dfc", issued.ca, Unauthorized),
        ]:
            with pytest.raises(error) as caught:
                async with diffc_client.connect(url, decoders=FakeDecoders(), token=token, ca=ca):
                    pass
            assert "\n" not in str(caught.value)


async def meet(port: int, issued: Issued, newest: ssl.TLSVersion) -> str | None:
    """Shake hands by no newer version of TLS, however weak, and return the version."""
    context = ssl.create_default_context(cafile=issued.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    version: str | None = writer.get_extra_info("ssl_object").version()
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return version


@pytest.mark.parametrize("given", [[], ["--tls-cert"], ["--tokens"]])
def test_plaintext_exposure_is_not_by_mistake(
    folder: Path, tmp_path: Path, held: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    add_token(held, "ship")
    files = {"--tls-cert": str(issue(tmp_path).chain), "--tokens": str(held)}
    flags = [word for flag in given for word in (flag, files[flag])]
    assert main([str(folder), "--port", "0", "--host", "0.0.0.0", *flags]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert all(missing in line for missing in files if missing not in given)
    assert "127.0.0.1" in line
    assert "--insecure" in line


@pytest.mark.asyncio
async def test_token_leak_and_guessing(
    folder: Path, site: Site, held: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    known = [add_token(held, name) for name in ("ship", "shore", "plane")]
    text, mode = held.read_text(), held.stat().st_mode  # noqa: ASYNC240
    assert not any(token in text for token in known)
    assert mode & 0o077 == 0
    wrong = "x" * 43
    async with serving(folder, site=site, reception=guard(held)) as sender:
        for token in (known[0], wrong):
            basic = base64.b64encode(f"somebody:{token}".encode()).decode()
            fields = (f"Authorization: Bearer {token}", f"Authorization: Basic {basic}")
            good = [await status(sender.port, "/a.png.dfc", field) for field in fields]
            good.append(await status(sender.port, "/a.png.dfc", f"Cookie: diffc={token}"))
            assert set(good) == {200 if token == known[0] else 401}
            # In an address, which lands in logs, a token is none.
            assert await status(sender.port, f"/?token={token}") == 401
            with suppress(InvalidStatus):
                await (await dial(sender.url, bearer(token))).close()
        for _ in range(20):
            last = await asked(sender.port, request("/", f"Authorization: Bearer {wrong}"))
        assert last.startswith(b"HTTP/1.1 429 ")
        assert re.search(rb"Retry-After: [1-9]", last)
        # Whoever has one is let in all the same.
        async with dial(sender.url, bearer(known[1])):
            pass
    # What the client here logs of itself is its own business.
    logged = [record for record in caplog.records if not record.name.startswith("websockets.")]
    assert "diffc_server" in {record.name for record in logged}
    for record in logged:
        assert not any(token in record.getMessage() for token in (*known, basic)), record.name


def test_token_comparisons_take_as_long_for_all(
    held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [add_token(held, name) for name in ("ship", "shore", "plane")]
    found = Tokens(held)
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for shown in (*known, "none", ""):
        compared.clear()
        assert (found.find(shown, datetime.now(UTC)) is not None) == (shown in known)
        assert len(compared) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["removed", "expired"])
async def test_token_that_ends_mid_session(
    folder: Path, held: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Semaphore(2)
    token = add_token(held, "ship", datetime.now(UTC) + timedelta(hours=1))
    other = add_token(held, "shore")
    async with (
        serving(folder, FakeOpener(gate=gate), reception=guard(held)) as sender,
        greeted(sender.url, bearer(token)) as websocket,
        greeted(sender.url, bearer(other)) as unaffected,
    ):
        await websocket.send(encode(Open(stream=1, image="a.png")))
        assert isinstance(await heard(websocket), Data)
        if how == "removed":
            without(held, "ship")
        else:
            later = datetime.now(UTC) + timedelta(hours=2)
            monkeypatch.setattr(access_control, "datetime", _At(later))
        await sender.reread()
        *_, last = await everything(websocket)
        assert isinstance(last, Error)
        assert (last.stream, last.code, last.retry) == (0, Code.UNAUTHORIZED, False)
        assert websocket.close_code == 1008
        assert await status_of(dial(sender.url, bearer(token))) == 401
        await unaffected.send(encode(List()))
        await heard(unaffected)
        gate.release(100)


def without(held: Path, name: str) -> None:
    """Take a token out of the file."""
    blocks = held.read_text().split("\n\n")
    held.write_text("\n\n".join(block for block in blocks if f'"{name}"' not in block))


class _At:
    """A clock that stands."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self, _zone: object) -> datetime:
        return self._now


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
async def test_oversize_fragments_and_deflate(folder: Path) -> None:
    async with serving(folder) as sender:
        async with connect(
            sender.url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            proxy=None,
            compression="deflate",
        ) as websocket:
            assert websocket.response is not None
            assert "Sec-WebSocket-Extensions" not in websocket.response.headers
            await websocket.send(bytes(MAX_MESSAGE + 1))
            assert await everything(websocket) == []
            assert websocket.close_code == 1009
        async with dial(sender.url) as websocket:
            with suppress(ConnectionClosed):
                await websocket.send(b"x" for _ in range(5000))
            await websocket.wait_closed()
            assert websocket.close_code in (1002, 1009)


def test_amplifying_and_deep_messagepack() -> None:
    bombs = [
        b"\x91" * 200_000,
        b"\x91" * (MAX_MESSAGE - 1),
        b"\xdc\xff\xff" + b"\x80" * (MAX_MESSAGE - 4),
        b"\xdd\xff\xff\xff\xff" + b"\x90" * (MAX_MESSAGE - 6),
        b"\xdf\x7f\xff\xff\xff" + b"\xc0\x80" * 8000,
        b"\x9f" + b"\xdb\xff\xff\xff\xff" + bytes(100),
        b"\x9f" + b"\xc6\xff\xff\xff\xff" + bytes(100),
        b"\x93\xc9\xff\xff\xff\xff\x01" + bytes(100),
        b"\x93" + b"\xd4\x01\x00" * 3,
        b"\x93" + b"\xc7\x00\xff" * 3,
    ]
    tracemalloc.start()
    try:
        for message in CONTROL:
            for bomb in bombs:
                with pytest.raises(RemoteProtocolError):
                    decode(bytes([message.kind]) + bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6


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
        while len(sender._conversations) > 1:
            for conversation in sender._conversations:
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
@pytest.mark.parametrize("lie", [2**53, 5000, 1, -1])
async def test_ack_lies_and_overflow(folder: Path, lie: int) -> None:
    async with serving(folder) as sender, greeted(sender.url) as websocket:
        if lie < 5000:
            # Backwards, or below nothing.
            await websocket.send(encode(Open(stream=1, image="a.png")))
            data = await heard(websocket)
            assert isinstance(data, Data)
            await websocket.send(encode(Ack(received=len(data.payload))))
        ack = encode(Ack(received=max(lie, 0)))
        await websocket.send(ack if lie >= 0 else ack.replace(b"\x00", b"\xff"))
        last = (await everything(websocket))[-1]
        assert isinstance(last, Error)
        assert (last.stream, last.code) == (0, Code.PROTOCOL)


def test_overflowing_numbers() -> None:
    for head in (b"\xff" * 9 + b"\x7f", b"\x01" + b"\xff" * 9 + b"\x01", b"\x80" * 30):
        with pytest.raises(RemoteProtocolError):
            decode(bytes([Data.kind]) + head + bytes(20))


TRAVERSAL = [
    "../secret.png",
    "sub/../../secret.png",
    "/etc/passwd",
    "//etc/passwd.png",
    "..\\secret.png",
    "a.png\x00.png",
    "link.png",
    "out/secret.png",
    ".hidden.png",
    "sub/./c.jpg",
    "%2e%2e/secret.png",
    "..%2fsecret.png",
    "..%5csecret.png",
    "a.png/",
    "~/secret.png",
    "file:///etc/passwd.png",
    "\u2024\u2024/secret.png",
    "C:\\secret.png",
    "a" * 300 + ".png",
]


@pytest.mark.asyncio
async def test_path_traversal(folder: Path) -> None:
    secret = folder.parent / "secret.png"
    secret.write_bytes(b"secret.png")
    (folder / "link.png").symlink_to(secret)
    (folder / "out").symlink_to(folder.parent)
    (folder / ".hidden.png").write_bytes(b"hidden")
    opener = FakeOpener()
    async with serving(folder, opener) as sender:
        for name in TRAVERSAL:
            quoted = "".join(f"%{byte:02x}" for byte in name.encode())
            raw = "".join(c if "!" <= c <= "~" else "x" for c in name)
            doubled = quoted.replace("%", "%25")
            for path in (f"/{quoted}.dfc", f"/{raw}.dfc", f"/{doubled}.dfc"):
                assert await status(sender.port, path) == 404, path
        assert await status(sender.port, "/..%c0%af..%c0%afsecret.png.dfc") == 404
        for name in TRAVERSAL:
            async with greeted(sender.url) as websocket:
                with suppress(DiffcError):
                    await websocket.send(encode(Open(stream=1, image=name)))
                    refused = await heard(websocket)
                    assert isinstance(refused, Error), name
                    assert refused.code in (Code.UNKNOWN_IMAGE, Code.PROTOCOL)
    assert opener.opened == []


KEY = "5" * 64
KEPT = stream_of("a.png", 3000)


def test_cache_poisoning_and_torn_writes(tmp_path: Path) -> None:
    """Whatever is done to what is kept, nothing else is ever taken from there."""
    store = open_store(str(tmp_path / "kept"))
    store.save(KEY, Stored(data=KEPT, complete=True))
    [file] = (path for path in (tmp_path / "kept").rglob("*") if path.stat().st_size > 2000)
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        for data in (bytes(flipped), whole[:place], bytes(len(whole)), whole + b"x"):
            file.write_bytes(data)
            assert store.load(KEY) is None
    # What is another's stream does not become this one's by its name.
    store.save("6" * 64, Stored(data=KEPT, complete=True))
    [other] = (path for path in file.parent.iterdir() if path.name.startswith("666"))
    file.write_bytes(other.read_bytes())
    assert store.load(KEY) is None
    assert store.save(KEY, Stored(data=KEPT, complete=True)) is Outcome.STORED
    assert store.load(KEY) == Stored(data=KEPT, complete=True)
    # Who came first is not overwritten with something else.
    assert store.save(KEY, Stored(data=bytes(4000), complete=True)) is Outcome.REFUSED
    assert store.load(KEY) == Stored(data=KEPT, complete=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9000)), max_size=30))
def test_disk_fill(asked: list[tuple[int, int]]) -> None:
    """However much is asked for, what is kept stays within its size."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder, most_bytes=20_000)
        for number, length in asked:
            store.save(str(number) * 64, Stored(data=bytes(length), complete=False))
            held = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            assert held <= 20_000


def test_malicious_stream_at_the_client() -> None:
    huge = Header(model=model().fingerprint, width=MAX_SIDE, height=MAX_SIDE, seed=0).encode()
    decoder = Decoder([model()])
    tracemalloc.start()
    try:
        with pytest.raises(PictureTooLarge):
            decoder.feed(huge + bytes(1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6
    # Cut anywhere, there is a picture or word that there is none yet.
    whole, decoder = stream(400), Decoder([model()])
    for place, byte in enumerate(whole):
        decoder.feed(bytes([byte]))
        if place % 50 == 0:
            with suppress(NothingDecodable):
                assert decoder.render().image.dtype == np.uint8
    # Steps without end: what comes of them is bounded by the bytes that they take.
    for junk in (b"\x00", b"\xff", b"\x01"):
        decoder = Decoder([model()])
        with suppress(StreamError):
            decoder.feed(whole[:60] + junk * 5000)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e300])
def test_numbers_that_are_none(bad: float) -> None:
    good = encode(Open(stream=1, image="a.png", psnr=30.5))
    packed = np.array(30.5, ">f8").tobytes()
    assert packed in good
    with pytest.raises(RemoteProtocolError):
        decode(good.replace(packed, np.array(bad, ">f8").tobytes()))


@pytest.mark.asyncio
async def test_encoder_exhaustion(folder: Path) -> None:
    """Beyond a number pictures are refused that want an encoder; others are not held up."""
    (folder / "ready.dfc").write_text("0f0f0f0f")
    gate = threading.Semaphore(0)
    names = [f"p{number}.png" for number in range(6)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    opener = FakeOpener(gate=gate)
    pipeline = Pipeline(opener, seats=2, queue=1)
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
            conversation.visit.account
            for conversation in sender._conversations
            if conversation.visit.name == "ship"
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


def test_model_swap(tmp_path: Path) -> None:
    """Altered weights are refused, and so is a stream of another model."""
    path = tmp_path / "tiny.safetensors"
    save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name="tiny")
    held = Collection.at_hand(path).preferred
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableModel, match="damaged"):
        _ = Collection.at_hand(path).preferred
    header = Header(model="0badf00d", width=64, height=64, seed=0).encode()
    with pytest.raises(UnknownModel):
        Decoder([held]).feed(header + bytes(100))
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnreadableModel):
        _ = Collection.at_hand(path).preferred


DANGEROUS = {
    *("pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"),
    *("torch.load", "yaml.load", "eval", "exec", "os.system"),
}


def test_nothing_is_unpickled_or_executed() -> None:
    for path, nodes in parsed():
        for node in nodes:
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call):
                names = [ast.unparse(node.func)]
                assert not any(keyword.arg == "shell" for keyword in node.keywords), path
                if any(ast.unparse(k) == "weights_only=True" for k in node.keywords):
                    continue  # tensors and nothing else
                pickled = [k.value for k in node.keywords if k.arg == "allow_pickle"]
                assert all(ast.unparse(value) == "False" for value in pickled), path
            assert not DANGEROUS.intersection(names), f"{path}: {names}"


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/healthz", "/-/metrics"])
async def test_metrics_and_health_leak(folder: Path, site: Site, path: str) -> None:
    """What operators see is on a port of its own: whoever comes for pictures does not."""
    async with serving(folder, site=site) as sender:
        assert await status(sender.port, path) == 404


@pytest.mark.asyncio
async def test_ports_of_others(folder: Path) -> None:
    """Nothing here opens the ports of a cluster, whose visitors run what they like."""
    for path, nodes in parsed():
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or ""
                names = [module, *(alias.name for alias in node.names)]
                roots = {name.partition(".")[0] for name in names}
                assert not roots & {"ray", "dask", "distributed", "celery"}, path
    async with serving(folder) as sender:
        assert sender._listener is not None
        assert len(sender._listener.sockets) == 1


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
        await settled(lambda: len(sender._conversations) == 10)
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


def test_the_document_names_every_test() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    here = {
        node.name
        for node in ast.parse(Path(__file__).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name != "test_the_document_names_every_test"
    }
    threats = text.partition("\n## Threats\n")[2].partition("\n## ")[0]
    rows = [row for row in threats.splitlines() if re.match(r"\| [A-Z]", row) and "`test_" in row]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert all(named)
    assert {name for names in named for name in names} == here
    assert len(rows) == 18
