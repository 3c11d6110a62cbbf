"""The page from here, the pictures from there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sources
from fakes import FakeDecoders
from http_client import head_of, request
from serving import pictures, serving, settled
from test_client_proxy import echo, listening
from viewer_files import viewer
from websocket_client import dial
from websockets.exceptions import InvalidStatus

import diffc_client
from diffc_client.remote.address import Address
from diffc_client.web import app as module
from diffc_client.web import pages
from diffc_client.web.app import View
from diffc_client.web.pages import PageServer
from diffc_stream import save_png
from diffc_stream.errors import AddressError
from diffc_stream.transport import websocket
from diffc_viewer import Assets, Facts, Site

COMPARISON = "/-/compare/p.png?format=jpeg&bytes=2000&of=2000"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Assets(home=viewer(tmp_path / "viewer")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = pictures(tmp_path)
    save_png(folder / "p.png", np.tile(sources.picture(), (4, 4, 1)))
    return folder


def nowhere() -> Address:
    return Address.parse("ws://127.0.0.1:9")


async def ask(view: PageServer, path: str, *fields: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(view.url.split(":")[2].split("/")[0])
    )
    writer.write(request(path, *fields))
    status, found = await head_of(reader)
    body = await reader.read()
    writer.close()
    await writer.wait_closed()
    if status != 304:
        assert int(found["Content-Length"]) == len(body)
    return status, found, body


@pytest.mark.asyncio
async def test_the_page_is_here(site: Site) -> None:
    async with View(nowhere(), site, rate=2000.0, max_pixels=10**6) as view:
        status, fields, body = await ask(view, "/?x", "Host: localhost:1")
        assert (status, body) == (200, b"page/index.html")
        assert "ws://localhost:1" in fields["Content-Security-Policy"]
        assert (await ask(view, "/", f"If-None-Match: {fields['ETag']}"))[0] == 304
        assert json.loads((await ask(view, "/-/viewer.json"))[2]) | {"version": None} == {
            "compare": False,
            "sender": "ws://127.0.0.1:9",
            "rate": 2000.0,
            "max_pixels": 10**6,
            "published": False,
            "packets": False,
            "version": None,
        }
        for path in ("/-/gone.js", "/a.png.dfc", COMPARISON):
            assert (await ask(view, path))[0] == 404


@pytest.mark.asyncio
async def test_the_pictures_are_there(folder: Path, site: Site) -> None:
    async with serving(folder) as daemon, View(Address.parse(daemon.url), site) as view:
        url = view.url.replace("http:", "ws:").rstrip("/")
        async with diffc_client.connect(url, decoders=FakeDecoders()) as sender:
            async for refinement in sender.open("a.png"):
                last = refinement
        assert (last.bytes, last.complete) == (5000, True)
        assert 5000 < view.down.nbytes < 6000
        assert 0 < view.up.nbytes < 1000


@pytest.mark.asyncio
async def test_pages_of_other_sites(site: Site) -> None:
    async with listening(echo) as port:
        address = Address(scheme="ws", host="127.0.0.1", port=port)
        async with View(address, site) as view:
            url = view.url.replace("http:", "ws:")
            async with dial(url, origin=view.url.rstrip("/")) as page:
                await page.send(b"hello")
                assert await page.recv() == b"hello"
            with pytest.raises(InvalidStatus) as caught:
                await dial(url, origin="https://example.org")
            assert caught.value.response.status_code == 403
            assert (await ask(view, "/", "Host: rebound.example"))[0] == 421
            assert (await ask(view, "/-/viewer.json", "Sec-Fetch-Site: cross-site"))[0] == 403


@pytest.mark.asyncio
async def test_not_too_many_pages(site: Site) -> None:
    async with View(nowhere(), site) as view:
        view._most = 0
        with pytest.raises(InvalidStatus) as caught:
            await dial(view.url.replace("http:", "ws:"))
        assert caught.value.response.status_code == 503


@pytest.mark.asyncio
async def test_comparisons_come_from_the_sender(
    folder: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = Site(Assets(home=tmp_path / "viewer"), Facts(compare=True))
    async with (
        serving(folder, site=able, compare=True) as daemon,
        View(Address.parse(daemon.url), site, compare=True) as view,
    ):
        assert json.loads((await ask(view, "/-/viewer.json"))[2])["compare"] is True
        status, fields, body = await ask(view, COMPARISON)
        assert (status, fields["Content-Type"]) == (200, "image/jpeg")
        assert body.startswith(b"\xff\xd8")
        assert (await ask(view, "/-/compare/gone.png?format=avif&bytes=1"))[0] == 404
        assert (await ask(view, "/-/compare/a\rb"))[0] == 404
        monkeypatch.setattr(module, "MOST_FILE", 100)
        assert (await ask(view, COMPARISON))[0] == 502


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("head", "status", "kind"),
    [
        ("200 OK\r\nContent-Type: text/html", 502, "text/plain; charset=utf-8"),
        ("200 OK\r\nContent-Type: image/svg+xml", 502, "text/plain; charset=utf-8"),
        ("200 OK\r\nContent-Type: text/html; a=image/png", 502, "text/plain; charset=utf-8"),
        ("200 OK", 502, "text/plain; charset=utf-8"),
        ("404 Not Found\r\nContent-Type: text/html", 404, "text/plain; charset=utf-8"),
        ("302 Found\r\nLocation: http://elsewhere/", 502, "text/plain; charset=utf-8"),
        ("200 OK\r\nContent-Type: Image/PNG; x=y\r\nSet-Cookie: a=b", 200, "image/png"),
        ("200 OK\r\nContent-Type: image/webp\r\nCache-Control: max-age=7", 200, "image/webp"),
    ],
)
async def test_what_a_hostile_sender_answers_is_a_picture_or_plain_words(
    site: Site, head: str, status: int, kind: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"<script>parent.run()</script>"
        more = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(more.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = Address(scheme="ws", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    async with server, View(address, site, compare=True) as view:
        found, fields, _ = await ask(view, COMPARISON)
    assert (found, fields["Content-Type"]) == (status, kind)
    assert "sandbox" in fields["Content-Security-Policy"]
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert not {"Location", "Set-Cookie"} & fields.keys()


@pytest.mark.asyncio
async def test_all_that_is_served_says_what_it_may_do(site: Site) -> None:
    async with View(nowhere(), site) as view:
        for path in ("/", "/-/viewer.json", "/-/models.json", "/-/gone.js", "/x", COMPARISON):
            for more in ((), ("Host: rebound.example",), ("Sec-Fetch-Site: cross-site",)):
                _, fields, _ = await ask(view, path, *more)
                assert fields["Content-Security-Policy"].startswith("default-src 'none'")
                assert fields["X-Content-Type-Options"] == "nosniff"


@pytest.mark.asyncio
async def test_a_sender_that_says_nothing_does_not_hold_up_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "GRACE", 0.01)
    asked = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    address = Address(scheme="ws", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    async with asyncio.timeout(60):
        async with View(address, site) as view:
            page = await dial(view.url.replace("http:", "ws:"))
            await asked.wait()
        await page.wait_closed()
    server.close()
    await server.wait_closed()


@pytest.mark.asyncio
async def test_a_comparison_may_take_as_long_as_it_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}

    def noted(*arguments: Any, **more: Any) -> object:
        told.update(more)
        return websocket.listen(*arguments, **more)

    monkeypatch.setattr(pages, "listen", noted)
    async with View(nowhere(), site):
        assert told["open_timeout"] == module.PATIENCE + module.ASKING


@pytest.mark.asyncio
async def test_senders_that_compare_nothing(folder: Path, site: Site) -> None:
    async with (
        serving(folder) as daemon,
        View(Address.parse(daemon.url), site, compare=True) as view,
    ):
        assert json.loads((await ask(view, "/-/viewer.json"))[2])["compare"] is False
        assert (await ask(view, COMPARISON))[0] == 404
        await daemon.abort()
        assert json.loads((await ask(view, "/-/viewer.json"))[2])["compare"] is False
        status, _, body = await ask(view, COMPARISON)
        assert (status, body.splitlines()[0][-18:]) == (502, b"Connection refused")


def test_addresses(site: Site) -> None:
    with pytest.raises(AddressError, match="is not a sender"):
        View(Address.parse("http://station/a.dfc"), site)


@pytest.mark.asyncio
async def test_a_picture_may_be_named(site: Site) -> None:
    async with View(Address.parse("ws://station/sub/a%20b.png"), site) as view:
        assert view.url.endswith("/#/sub/a%20b.png")


@pytest.mark.asyncio
async def test_who_says_nothing_keeps_no_page_out(site: Site) -> None:
    async with View(nowhere(), site) as view:
        port = int(view.url.split(":")[2].split("/")[0])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
        assert (await ask(view, "/"))[0] == 200
        assert view._admission.newcomers <= view._admission.most_newcomers
        for _, writer in held:
            writer.transport.abort()
        await settled(lambda: view._admission.open == 0)


@pytest.mark.asyncio
async def test_a_full_house_is_told_in_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "CONNECTIONS", 0)
    async with View(nowhere(), site) as view:
        assert (await ask(view, "/"))[0] == 503
