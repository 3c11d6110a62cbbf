"""Requests of browsers: pages of the viewer, other pages, hosts, tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakeOpener, stream_of
from http_client import ask, asking, head_of, request
from serving import pictures, serving
from viewer_files import viewer
from websocket_client import dial
from websockets.exceptions import InvalidStatus

from diffc_server.auth.access_control import AccessControl
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
