"""A mirror, and senders that refuse, do not say all, or restart."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeOpener
from mirroring import NAMES, files, folder, kept, mirroring
from serving import Impaired, serving

from diffc_client import Address, Mirror
from diffc_client.mirror.state import FILE
from diffc_client.remote.credentials import Access, TokenFile, access_from
from diffc_client.remote.receive_buffer import IncomingStream
from diffc_client.remote.websocket import Link
from diffc_server import SenderDaemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.websocket import connection
from diffc_stream.errors import Unauthorized
from diffc_stream.session import Capability
from diffc_stream.transport.tokens import Tokens, add_token

__all__ = ["folder", "kept"]
pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "diffc_server")


async def test_what_cannot_be_kept_or_sent_is_said_and_lived_through(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    (kept / "sub").write_bytes(b"in the way")
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete("a.png", "b.png")
        await watcher.until(lambda: "bad.png: the peer says" in caplog.text)
        await watcher.until(lambda: "sub/c.jpg: " in caplog.text)
        # What is in the way may go.
        (kept / "sub").unlink()
        await watcher.until_complete("sub/c.jpg")
        (folder / "bad.png").write_bytes(b"better")
        await watcher.until_complete("bad.png")


async def test_what_is_refused_is_asked_for_once_until_it_is_another(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_ = Link.open

    def noted(link: Link, image: str, **options: Any) -> IncomingStream:
        opened.append(image)
        return open_(link, image, **options)

    monkeypatch.setattr(Link, "open", noted)
    (folder / "bad.png").write_bytes(b"broken")
    opener = FakeOpener()
    async with serving(folder, opener) as daemon:
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
            await watcher.until(lambda: watcher.mirror.missing == 0)
            assert (await watcher.mirror.counting.count()).refused == 1
            for conversation in tuple(daemon._receivers):
                conversation.abort()
            (folder / "new.png").write_bytes(b"new")
            await watcher.until_complete("new.png")
        # Nor after a restart.
        async with mirroring(kept, daemon.url) as watcher:
            (folder / "newer.png").write_bytes(b"newer")
            await watcher.until_complete("newer.png")
            assert opened.count("bad.png") == 1
            (folder / "bad.png").write_bytes(b"better")
            await watcher.until_complete("bad.png")
            assert (await watcher.mirror.counting.count()).refused == 0
    assert opened.count("bad.png") == 3  # its first bytes, and the rest


async def test_a_mirror_outlives_tokens_that_are_empty_for_a_while(
    folder: Path, kept: Path, tmp_path: Path
) -> None:
    held, shown = tmp_path / "tokens.toml", tmp_path / "token"
    shown.write_text(add_token(held, "mirror"))
    good = held.read_text()
    access = TokenFile(access_from(shown, None, exposed=False), shown)
    async with (
        serving(folder, reception=AccessControl(tokens=Tokens(held))) as daemon,
        mirroring(kept, daemon.url, access=access) as watcher,
    ):
        await watcher.until_complete(*NAMES)
        held.write_text("")
        shown.write_text("")
        os.utime(held, (0, 0))  # for longer than it takes to write it
        await daemon.reread()
        await watcher.until(lambda: not watcher.mirror.connected)
        await asyncio.sleep(60)
        held.write_text(good)
        await daemon.reread()
        (folder / "new.png").write_bytes(b"new")
        await watcher.until_complete("new.png")
        # Another token, at both ends.
        held.write_text("# none")
        shown.write_text(add_token(held, "again"))
        await daemon.reread()
        (folder / "newer.png").write_bytes(b"newer")
        await watcher.until_complete("newer.png")


async def test_who_was_never_let_in_is_told(folder: Path, kept: Path, tmp_path: Path) -> None:
    held = tmp_path / "tokens.toml"
    add_token(held, "somebody")
    async with (
        serving(folder, reception=AccessControl(tokens=Tokens(held))) as daemon,
        Mirror(kept) as mirror,
    ):
        with pytest.raises(Unauthorized, match="wants a token"):
            await mirror.run(Address.parse(daemon.url), access=Access.of("wrong", None))


async def test_a_stream_goes_nowhere_else(
    folder: Path, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "target").write_bytes(b"safe")
    (kept / "sub").symlink_to(outside)
    (kept / "a.png.dfc").symlink_to(outside / "target")
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete("b.png")
    assert caplog.text.count("leads through a link") == 2
    assert files(outside) == ["target"]
    assert (outside / "target").read_bytes() == b"safe"


async def test_a_sender_that_does_not_say_what_changes_is_asked(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CAPABILITIES", (Capability.DFC1,))
    monkeypatch.setattr(
        connection.ReceiverConnection,
        "_list",
        lambda self, request: OLD(self, replace(request, follow=False)),
    )
    async with (
        serving(folder) as daemon,
        mirroring(kept, daemon.url, delete=True, every=7.0) as watcher,
    ):
        await watcher.until_complete(*NAMES)
        (folder / "new.png").write_bytes(b"new")
        (folder / "a.png").unlink()
        await watcher.until_complete("new.png")
        await watcher.until(lambda: watcher.mirror.pictures == 3)
    assert files(kept) == [FILE, "b.png.dfc", "new.png.dfc", "sub/c.jpg.dfc"]


OLD = connection.ReceiverConnection._list


async def test_a_catalogue_that_is_held_is_not_sent_again(
    tmp_path: Path, kept: Path, impaired: Impaired
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):
        path = folder / f"IMG_{number:04}.png"
        path.write_bytes(str(number).encode())
        os.utime(path, (1_000_000 + number, 1_000_000 + number))
    opener = FakeOpener(length=1)
    async with serving(folder, opener) as daemon:
        link = await impaired(daemon)
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            await watcher.until(lambda: watcher.mirror.pictures == 150)
            await watcher.until(lambda: watcher.mirror.missing == 0)
            assert link.carried_down > 150 * 40
            link.cut()
            carried = link.carried_down
            (folder / "IMG_0150.png").write_bytes(b"new")
            await watcher.until_complete("IMG_0150.png")
            # The handshake, WELCOME, a page of one and a byte.
            assert link.carried_down - carried < 600
        again = link.carried_down
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            (folder / "IMG_0151.png").write_bytes(b"new")
            await watcher.until_complete("IMG_0151.png")
        assert link.carried_down - again < 600


async def test_nonsense_for_records_is_nothing(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (kept / FILE).write_text(json.dumps({"format": 7}))
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete(*NAMES)
    assert caplog.text.count("cannot be used") == 1


async def test_a_sender_that_restarts(folder: Path, kept: Path) -> None:
    daemon: SenderDaemon
    async with serving(folder, FakeOpener(length=9000)) as daemon:
        port = daemon.port
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
            await daemon.drain()
            (folder / "new.png").write_bytes(b"new")
            async with serving(folder, FakeOpener(length=9000), port=port):
                await watcher.until_complete("new.png")
