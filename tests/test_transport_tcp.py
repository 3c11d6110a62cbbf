"""Connections that are opened straight, or through a proxy."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest
from authority import issue
from fakes import FakeDecoders, stream_of
from proxying import proxying
from serving import pictures, serving

import diffc_client
from diffc_client import MemoryStream
from diffc_stream.errors import LinkLost, MissingPackage, RemoteProtocolError
from diffc_stream.session import Reason
from diffc_stream.transport.tcp import open_socket
from diffc_stream.transport.websocket import connect

pytestmark = pytest.mark.asyncio

NAMES = ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def receive(url: str, ca: Path | None = None) -> bytes:
    kept = MemoryStream()
    picture = "a.png.dfc" if url.startswith("http") else "a.png"
    async with diffc_client.connect(
        url, decoders=FakeDecoders(), patience=0.0, ca=ca, token=None
    ) as sender:
        assert await sender.receive(picture, kept, bytes=3000) is Reason.TARGET
    return kept.read()


@pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https"])
@pytest.mark.parametrize("kind", ["http", "socks5h"])
async def test_all_addresses_lead_through_a_proxy(
    scheme: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "socks5h":
        pytest.importorskip("python_socks")
    secure = scheme in ("wss", "https")
    issued = issue(tmp_path, "station") if secure else None
    folder = pictures(tmp_path)
    certificate = issued.certificate if issued else None
    async with serving(folder, certificate=certificate) as daemon, proxying(daemon.port) as proxy:
        monkeypatch.setenv("all_proxy", f"{kind}://127.0.0.1:{proxy.port}")
        ca = issued.ca if issued else None
        assert await receive(f"{scheme}://station:99", ca) == stream_of("a.png", 3000)
        # This machine is nearer.
        before = len(proxy.asked)
        if not secure:
            await receive(f"{scheme}://127.0.0.1:{daemon.port}")
        assert len(proxy.asked) == before
    if kind == "socks5h":
        assert set(proxy.asked) == {"SOCKS station:99"}
    elif scheme == "http":
        assert set(proxy.asked) == {"GET http://station:99/a.png.dfc HTTP/1.1"}
    else:
        assert set(proxy.asked) == {"CONNECT station:99 HTTP/1.1"}


@pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https"])
async def test_a_proxy_is_shown_who_asks_and_nobody_else_is(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"
    async with proxying(0, refusal) as proxy:
        monkeypatch.setenv("all_proxy", f"http://me:se%40cret@127.0.0.1:{proxy.port}")
        with pytest.raises(RemoteProtocolError, match="the proxy 127") as caught:
            await receive(f"{scheme}://station:99")
    assert "HTTP 407" in str(caught.value)
    assert "cret" not in str(caught.value)
    assert set(proxy.shown) == {"Basic bWU6c2VAY3JldA=="}


@pytest.mark.parametrize("scheme", ["ws", "https"])
@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 403 No\r\n\r\n", RemoteProtocolError, "HTTP 403"),
        (b"HTTP/1.1 502 No\r\n\r\n", LinkLost, "at the moment"),
        (b"220 mail ESMTP\r\n\r\n", RemoteProtocolError, "does not answer like one"),
        (b"x" * 20_000, RemoteProtocolError, "does not answer like one"),
    ],
)
async def test_what_a_proxy_says_is_said_of_the_proxy(
    scheme: str,
    answer: bytes,
    error: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with proxying(0, answer) as proxy:
        monkeypatch.setenv("all_proxy", f"127.0.0.1:{proxy.port}")
        with pytest.raises(error, match=words) as caught:
            await receive(f"{scheme}://station:99")
        assert f"the proxy 127.0.0.1:{proxy.port}" in str(caught.value)


async def test_a_proxy_of_socks_takes_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    for scheme in ("ws", "http"):
        with pytest.raises(MissingPackage, match=r"diffc-stream\[socks\]"):
            await receive(f"{scheme}://station:99")


async def test_the_first_address_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            refusing = other.getsockname()[1]
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*kind, ("127.0.0.1", refusing)), (*kind, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        (await open_socket("station", port)).close()
        found.pop()
        with pytest.raises(ConnectionRefusedError):
            await open_socket("station", port)


@pytest.mark.virtual_time
async def test_who_does_not_answer_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "sock_connect", never)
    began = loop.time()
    with pytest.raises(TimeoutError):
        await connect("ws://127.0.0.1:9")
    assert loop.time() - began <= 21
