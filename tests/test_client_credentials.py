"""How to get in at a sender."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from authority import issue
from fakes import FakeDecoders
from serving import pictures, serving
from test_client_app import ask as ask_view
from viewer_files import viewer

import diffc_client
from diffc_client.__main__ import main
from diffc_client.remote.address import Address
from diffc_client.remote.credentials import Access, access_from, check_one_host, read_tokens
from diffc_client.web.app import View
from diffc_server.auth.access_control import AccessControl
from diffc_stream.errors import (
    DiffcError,
    LinkLost,
    RemoteProtocolError,
    SafetyError,
    Unauthorized,
)
from diffc_stream.transport.tokens import Tokens, add_token
from diffc_viewer import Assets, Site


@pytest.fixture(autouse=True)
def _no_token_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DIFFC_TOKEN", "DIFFC_CA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


def shown(access: Access, url: str) -> str | None:
    return access.fields(Address.parse(url)).get("Authorization")


def test_a_token_is_shown_where_nobody_else_hears_it() -> None:
    access = Access.of("abc", None)
    for url in ("wss://a", "https://a/x.dfc", "ws://localhost", "ws://127.0.0.1:1", "ws://[::1]"):
        assert shown(access, url) == "Bearer abc"
    for url in ("ws://a", "http://a/x.dfc", "ws://localhost.example", "ws://10.0.0.1"):
        with pytest.raises(Unauthorized, match="wss://"):
            shown(access, url)
    assert shown(Access(tokens={"": "abc"}, exposed=True), "ws://a") == "Bearer abc"
    assert shown(Access.of(None, None), "ws://a") is None
    assert "abc" not in repr(access)


def test_tokens_by_host(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# ours\n\nStation:8765 one\nstation two\nship three\n")
    access = Access(tokens=read_tokens(path))
    for url, token in [
        ("wss://station:8765", "one"),
        ("wss://STATION", "two"),
        ("https://ship/a.dfc", "three"),
        ("wss://other", None),
        ("ws://other", None),
    ]:
        assert shown(access, url) == (f"Bearer {token}" if token else None)
    check_one_host(access, [Address.parse("ws://a"), Address.parse("ws://b")])
    path.write_text("one\n")
    alone = Access(tokens=read_tokens(path))
    assert shown(alone, "wss://anywhere") == "Bearer one"
    check_one_host(alone, [Address.parse("wss://a/x.png"), Address.parse("wss://a")])
    with pytest.raises(SafetyError, match="HOST TOKEN"):
        check_one_host(alone, [Address.parse("wss://a"), Address.parse("wss://b")])


@pytest.mark.parametrize(
    "text", ["", "# nothing", "a b c", "one\ntwo", "one\nship two", "a b\na c", "t;oken", "é"]
)
def test_files_that_hold_no_token(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(SafetyError) as caught:
        read_tokens(path)
    assert "\n" not in str(caught.value)
    assert "oken;" not in str(caught.value)


def test_options_count_more_than_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_TOKEN", "env")
    monkeypatch.setenv("DIFFC_CA", "env.pem")
    assert access_from(None, None, exposed=False) == Access(tokens={"": "env"}, ca=Path("env.pem"))
    path = tmp_path / "token"
    path.write_text("file\n")
    given = access_from(path, Path("x.pem"), exposed=True)
    assert given == Access(tokens={"": "file"}, ca=Path("x.pem"), exposed=True)
    monkeypatch.setenv("DIFFC_TOKEN", "a b")
    with pytest.raises(SafetyError, match="not a token"):
        access_from(None, None, exposed=False)


@pytest.mark.parametrize(("text", "complaint"), [(None, "No such file"), ("x", "no certificates")])
def test_authorities_that_are_none(tmp_path: Path, text: str | None, complaint: str) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SafetyError, match=complaint):
        Access.of(None, path).context(Address.parse("wss://a"))
    assert Access.of(None, path).context(Address.parse("ws://a")) is None


@pytest.mark.asyncio
async def test_over_tls_with_a_token(folder: Path, tmp_path: Path) -> None:
    held, issued = tmp_path / "tokens.toml", issue(tmp_path)
    token = add_token(held, "ship")
    reception = AccessControl(tokens=Tokens(held), secure=True)
    async with serving(folder, reception=reception, certificate=issued.certificate) as daemon:
        plain = daemon.url.replace("wss:", "https:")
        for url, picture in [(daemon.url, "a.png"), (plain, "a.png.dfc")]:
            for good in (True, False):
                with suppress(*(() if good else (Unauthorized,))):
                    async with diffc_client.connect(
                        url,
                        decoders=FakeDecoders(),
                        token=token if good else "wrong",
                        ca=issued.ca,
                        patience=0.0,
                    ) as sender:
                        async for refinement in sender.open(picture, bytes=1000):
                            last = refinement
                        assert good
                        assert last.bytes == 1000
        # The other way round it says what to do.
        for url, hint in [
            (daemon.url.replace("wss:", "ws:"), r"speaks TLS: say wss://$"),
            (daemon.url.replace("wss:", "http:"), r"speaks TLS: say https://$"),
        ]:
            with pytest.raises(RemoteProtocolError, match=hint):
                async with diffc_client.connect(
                    url, decoders=FakeDecoders(), patience=0.0
                ) as sender:
                    async for _ in sender.open("a.png.dfc"):
                        pass
    async with serving(folder) as daemon:
        for scheme in ("wss", "https"):
            hint = rf"does not speak TLS: say {scheme[:-1]}://"
            with pytest.raises(RemoteProtocolError, match=hint):
                async with diffc_client.connect(
                    daemon.url.replace("ws:", f"{scheme}:"), decoders=FakeDecoders(), ca=issued.ca
                ):
                    pass


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "error", "complaint"),
    [
        (401, Unauthorized, "wants a token"),
        (403, Unauthorized, "refuses this client"),
        (421, RemoteProtocolError, "--name"),
        (429, LinkLost, "at the moment"),
        (503, LinkLost, "at the moment"),
        (404, RemoteProtocolError, "does not speak"),
    ],
)
async def test_what_a_refusal_means(status: int, error: type[DiffcError], complaint: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(error, match=complaint) as caught:
            async with diffc_client.connect(url, decoders=FakeDecoders()):
                pass
        assert str(status) in str(caught.value)


@pytest.mark.asyncio
async def test_a_redirect_gets_no_token() -> None:
    """Nor anything else: a sender is where it was said to be."""
    asked: list[bytes] = []
    there: list[bytes] = []

    def answering(
        seen: list[bytes], location: Callable[[], str]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            fields = f"Location: {location()}\r\nContent-Length: 0"
            writer.write(f"HTTP/1.1 302 Found\r\n{fields}\r\n\r\n".encode())
            writer.close()

        return answer

    other = await asyncio.start_server(answering(there, lambda: "ws://x"), "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    first = await asyncio.start_server(
        answering(asked, lambda: f"ws://localhost:{port}"), "127.0.0.1", 0
    )
    async with first, other:
        url = f"ws://127.0.0.1:{first.sockets[0].getsockname()[1]}"
        with pytest.raises(RemoteProtocolError, match="redirects to ws://localhost"):
            async with diffc_client.connect(url, decoders=FakeDecoders(), token="abc"):
                pass
    assert len(asked) == 1
    assert b"Bearer abc" in asked[0]
    assert not there


@pytest.mark.asyncio
async def test_the_page_from_here_needs_no_token_there(folder: Path, tmp_path: Path) -> None:
    held, issued = tmp_path / "tokens.toml", issue(tmp_path)
    token = add_token(held, "ship")
    site = Site(Assets(home=viewer(tmp_path / "viewer")))
    reception = AccessControl(tokens=Tokens(held), secure=True)
    async with serving(folder, reception=reception, certificate=issued.certificate) as daemon:
        access = Access.of(token, issued.ca)
        async with View(Address.parse(daemon.url), site, access=access, compare=True) as view:
            url = view.url.replace("http:", "ws:").rstrip("/")
            async with diffc_client.connect(url, decoders=FakeDecoders()) as sender:
                assert await sender.images() == ["a.png", "b.png", "sub/c.jpg"]
            assert (await ask_view(view, "/-/viewer.json"))[0] == 200
        async with View(Address.parse(daemon.url), site, access=Access.of(None, issued.ca)) as view:
            url = view.url.replace("http:", "ws:").rstrip("/")
            with pytest.raises(DiffcError):
                async with diffc_client.connect(url, decoders=FakeDecoders(), patience=0.0) as near:
                    await near.images()


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "token"
    path.write_text("abc")
    path.chmod(stat.S_IRUSR)
    for arguments, code, complaint in [
        (["list", "ws://station.example", "--token-file", str(path)], 8, "others could read"),
        (["list", "wss://station.example", "--ca", str(tmp_path / "no.pem")], 2, "no.pem"),
        (["list", "ws://localhost:9", "--token-file", "no"], 2, "no cannot be read"),
        (["run", "--token-file", str(path), "wss://a", "wss://b", str(tmp_path)], 2, "HOST TOKEN"),
    ]:
        assert main(arguments) == code
        [line] = capsys.readouterr().err.splitlines()
        assert complaint in line
        assert "abc" not in line
    assert os.environ.get("DIFFC_TOKEN") is None
