"""The security checklist, access: foreign pages, plain text, tokens, paths, figures."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import re
import ssl
import threading
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from authority import Issued, issue
from fakes import FakeDecoders, FakeOpener
from http_client import request
from serving import pictures, serving
from viewer_files import viewer
from visitors import asked, bearer, dial, greeted, guard, status, status_of, upgrade
from websocket_client import everything, heard
from websockets.exceptions import InvalidStatus

import diffc_client
from diffc_server.__main__ import main
from diffc_server.auth import access_control
from diffc_stream.errors import DiffcError, RemoteProtocolError, Unauthorized
from diffc_stream.session import SUBPROTOCOL, Code, Data, Error, List, Open, encode
from diffc_stream.transport.tokens import Tokens, add_token
from diffc_viewer import Assets, Site


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


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/healthz", "/-/metrics"])
async def test_metrics_and_health_leak(folder: Path, site: Site, path: str) -> None:
    """What operators see is on a port of its own: whoever comes for pictures does not."""
    async with serving(folder, site=site) as sender:
        assert await status(sender.port, path) == 404
