"""Mirrors of many senders: where what they have is kept, and what they live through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fakes import FINGERPRINT, FakeDecoders, FakeOpener, StreamOpener, stream_of
from mirroring import Waiting
from serving import Impaired, pictures, serving

from diffc_client import Address, Mirror, Mirrored
from diffc_client.decoding.decoders import Picture
from diffc_client.mirror.content import Content
from diffc_client.mirror.owned_folder import OwnedFolder
from diffc_client.mirror.paths import Places
from diffc_client.mirror.renderer import Renderer
from diffc_client.mirror.senders import Senders, by_sender, folder_of, take_over
from diffc_client.mirror.state import FILE
from diffc_client.remote.credentials import Access
from diffc_server.auth.access_control import AccessControl
from diffc_stream.errors import AddressError
from diffc_stream.picture import load_picture
from diffc_stream.session import Target
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.impairment import Impairment
from diffc_stream.transport.tokens import Tokens, add_token

virtual = pytest.mark.virtual_time
NOTES = ".diffc-written-"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


class Watcher(Waiting):
    """Sees what is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: dict[str, list[int]] = {}
        self.senders: Senders

    def grown(self, mirrored: Mirrored) -> None:
        if mirrored.complete:
            self.complete.append(mirrored.name)

    def tell(self, mirrored: Mirrored, picture: Picture) -> None:
        self.rendered.setdefault(mirrored.name, []).append(picture.bytes)


@asynccontextmanager
async def keeping(
    kept: Path,
    *urls: str,
    models: tuple[str, ...] = (FINGERPRINT,),
    access: Access | None = None,
    **options: Any,
) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    backoff = Backoff(first=0.1, longest=1.0, patience=None, draw=lambda: 1.0)
    async with Renderer(FakeDecoders(models), on_rendered=watcher.tell) as renderer:

        def changed(mirrored: Mirrored) -> None:
            watcher.grown(mirrored)
            renderer.put(mirrored)

        def make(folder: Path) -> Mirror:
            told = {"models": models, "backoff": backoff, "linked": False, **options}
            return Mirror(folder, on_change=changed, **told)

        addresses = [Address.parse(url) for url in urls]
        watcher.senders = Senders(addresses, kept, make, access=access or Access(), backoff=backoff)
        running = asyncio.create_task(watcher.senders.run())
        try:
            yield watcher
            assert not running.done()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def files(home: Path) -> list[str]:
    """Return all files but the mirrors' own notes."""
    found = (path for path in home.rglob("*") if path.is_file())
    ours = (NOTES, FILE)
    return sorted(str(path.relative_to(home)) for path in found if not path.name.startswith(ours))


@virtual
@pytest.mark.asyncio
async def test_everything_a_sender_has(folder: Path, kept: Path) -> None:
    async with serving(folder) as daemon:
        async with keeping(kept, daemon.url, f"{daemon.url}/a.png") as watcher:
            await watcher.until_complete("a.png", "b.png", "sub/c.jpg")
            (folder / "new.png").write_bytes(b"")
            await watcher.until_complete("new.png")
            await watcher.until(lambda: watcher.rendered.get("new.png", [])[-1:] == [5000])
            assert [mirror.connected for mirror in watcher.senders.mirrors] == [True]
        home = kept / f"127.0.0.1_{daemon.port}"
    assert files(home) == [
        *("a.png.dfc", "a.png.png", "b.png.dfc", "b.png.png"),
        *("new.png.dfc", "new.png.png", "sub/c.jpg.dfc", "sub/c.jpg.png"),
    ]
    assert (home / "a.png.dfc").read_bytes() == stream_of("a.png", 5000)
    assert load_picture(home / "a.png.png")[0, 0, 0] == 5000 % 256


@virtual
@pytest.mark.asyncio
async def test_one_picture_only(folder: Path, kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its sender is not asked what else it has, and left in peace once it is here."""
    caplog.set_level(logging.INFO)
    async with serving(folder) as daemon, keeping(kept, f"{daemon.url}/sub/c.jpg") as watcher:
        await watcher.until(lambda: watcher.rendered.get("sub/c.jpg", [])[-1:] == [5000])
        await watcher.until(lambda: daemon.connections == 0)
        [mirror] = watcher.senders.mirrors
        assert (mirror.connected, mirror.done, mirror.missing) == (False, True, 0)
        await asyncio.sleep(3600)
        assert caplog.text.count(" gets ") == 1
        home = kept / f"127.0.0.1_{daemon.port}"
    assert files(home) == ["sub/c.jpg.dfc", "sub/c.jpg.png"]
    assert not (home / FILE).exists()


@virtual
@pytest.mark.asyncio
async def test_a_stream_over_plain_http(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as daemon:
        url = daemon.url.replace("ws:", "http:")
        home = kept / f"127.0.0.1_{daemon.port}"
        for length in (2000, 5000):
            async with keeping(
                kept, f"{url}/a.png.dfc?signature=1", f"{url}/none.dfc", target=Target(bytes=length)
            ) as watcher:
                await watcher.until_complete("a.png.dfc")
                await watcher.until(lambda: "none.dfc: " in caplog.text)
            assert (home / "a.png.dfc").read_bytes() == stream_of("a.png", length)
            if length == 2000:
                caplog.clear()
    assert files(home) == ["a.png.dfc", "a.png.dfc.png"]


@virtual
@pytest.mark.asyncio
async def test_many_streams_over_plain_http(folder: Path, kept: Path) -> None:
    """More than are asked for at once: those that wait get their turn."""
    names = [f"{number:02}.png" for number in range(20)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    async with serving(folder) as daemon:
        url = daemon.url.replace("ws:", "http:")
        async with keeping(kept, *(f"{url}/{name}.dfc" for name in names)) as watcher:
            await watcher.until_complete(*(f"{name}.dfc" for name in names))
        home = kept / f"127.0.0.1_{daemon.port}"
    for name in names:
        assert (home / f"{name}.dfc").read_bytes() == stream_of(name, 5000)


@virtual
@pytest.mark.asyncio
async def test_a_picture_that_is_not_there_yet_and_one_that_cannot_be_read(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    async with (
        serving(folder) as daemon,
        keeping(kept, f"{daemon.url}/bad.png", f"{daemon.url}/new.png", every=60.0) as watcher,
    ):
        await watcher.until(lambda: "bad.png: the peer says" in caplog.text)
        await watcher.until(lambda: "new.png: the peer says" in caplog.text)
        (folder / "bad.png").write_bytes(b"better")
        (folder / "new.png").write_bytes(b"new")
        began = asyncio.get_running_loop().time()
        await watcher.until_complete("bad.png", "new.png")
        assert asyncio.get_running_loop().time() - began < 62


@virtual
@pytest.mark.asyncio
async def test_a_picture_gets_better_while_it_comes(
    folder: Path, kept: Path, impaired: Impaired
) -> None:
    async with serving(folder, FakeOpener(length=9000)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=1000.0))
        async with keeping(kept, f"ws://127.0.0.1:{link.port}/a.png") as watcher:
            await watcher.until(lambda: watcher.rendered.get("a.png", [])[-1:] == [9000])
    sizes = watcher.rendered["a.png"]
    assert sizes == sorted(sizes)
    assert sizes[0] < 1000
    assert len(sizes) > 5
    assert all(1.5 * sooner <= later for sooner, later in pairwise(sizes[:-1])), sizes


@virtual
@pytest.mark.asyncio
async def test_a_sender_restarted_and_a_receiver_too(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No byte is sent twice, and a picture that was replaced meanwhile is begun anew."""
    caplog.set_level(logging.INFO)
    port = 0
    streams = {"a.png": stream_of("a.png", 700)}
    for wanted in (stream_of("a.png", 700), stream_of("a.png", 5000), stream_of("other", 900)):
        streams["a.png"] = wanted
        async with serving(folder, StreamOpener(streams), port=port) as daemon:
            port = daemon.port
            async with keeping(kept, f"{daemon.url}/a.png") as watcher:
                await watcher.until_complete("a.png")
                assert (kept / f"127.0.0.1_{port}" / "a.png.dfc").read_bytes() == wanted
    assert " gets a.png from 700" in caplog.text
    assert "a.png has been replaced" in caplog.text


@virtual
@pytest.mark.asyncio
async def test_after_a_change_of_model_streams_go_on_or_are_begun_anew(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """a.png is of a model that the sender still has, b.png of one that it has no more."""
    port, models = 0, ("12345678", FINGERPRINT, "87654321")
    for name, model in (("a.png", FINGERPRINT), ("b.png", "87654321")):
        opener = FakeOpener(length=700, fingerprints=(model,))
        async with serving(folder, opener, port=port) as daemon:
            port, url = daemon.port, f"{daemon.url}/{name}"
            async with keeping(kept, url, models=models) as watcher:
                await watcher.until_complete(name)
    opener = FakeOpener(fingerprints=("12345678", FINGERPRINT))
    caplog.set_level(logging.INFO)
    async with serving(folder, opener, port=port) as daemon:
        home = kept / f"127.0.0.1_{port}"
        async with keeping(kept, daemon.url, models=models) as watcher:
            await watcher.until_complete("a.png", "b.png", "sub/c.jpg")
        assert (home / "a.png.dfc").read_bytes() == stream_of("a.png", 5000)
        assert (home / "b.png.dfc").read_bytes() == stream_of("b.png", 5000, "12345678")
    assert caplog.text.count("has been replaced") == 1


@virtual
@pytest.mark.asyncio
async def test_a_model_that_is_not_here_is_told(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serving(folder, FakeOpener(fingerprints=("12345678",))) as daemon,
        keeping(kept, f"{daemon.url}/a.png") as watcher,
    ):
        await watcher.until(lambda: "needs the model 12345678" in caplog.text)
    assert files(kept) == []


@virtual
@pytest.mark.asyncio
async def test_one_sender_does_not_end_the_others(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Nobody there, no host, a sender that wants a token, and a folder that cannot be made."""
    held = tmp_path / "tokens.toml"
    token = add_token(held, "ship")
    async with (
        serving(folder) as daemon,
        serving(folder, reception=AccessControl(tokens=Tokens(held))) as strict,
    ):
        blocked = kept / "127.0.0.1_9"
        blocked.parent.mkdir()
        blocked.write_bytes(b"in the way")
        urls = (daemon.url, "ws://127.0.0.1:9/x.png", "ws://127.0.0.1:2/y.png", "ws://a..b/x")
        async with keeping(kept, *urls, strict.url) as watcher:
            await watcher.until_complete("a.png", "b.png", "sub/c.jpg")
            for text in (str(blocked), ":2: ", "a..b", "wants a token"):
                await watcher.until(lambda text=text: text in caplog.text)  # type: ignore[misc]
            assert blocked.read_bytes() == b"in the way"
        async with keeping(kept, strict.url, access=Access.of(token, None)) as watcher:
            await watcher.until_complete("a.png", "b.png", "sub/c.jpg")


@virtual
@pytest.mark.asyncio
async def test_a_bug_ends_none_of_them(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bugs = Mock(side_effect=[RecursionError, None])
    monkeypatch.setattr("diffc_client.mirror.senders.take_over", bugs)
    async with serving(folder) as daemon, keeping(kept, f"{daemon.url}/a.png") as watcher:
        await watcher.until_complete("a.png")
    assert caplog.text.count(" failed") == 1


@virtual
@pytest.mark.asyncio
async def test_names_lead_nowhere_else_and_not_into_hidden_places(
    folder: Path, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with serving(folder) as daemon:
        home = kept / f"127.0.0.1_{daemon.port}"
        home.mkdir(parents=True)
        (home / "sub").symlink_to(outside)
        (home / "a.png.dfc").symlink_to(outside / "a")
        names = ("a.png", "b.png", "sub/c.jpg", ".hidden/x.png")
        async with keeping(kept, *(f"{daemon.url}/{name}" for name in names)) as watcher:
            await watcher.until_complete("b.png")
            await watcher.until(lambda: caplog.text.count("through a link") == 2)
            await watcher.until(lambda: "would be hidden" in caplog.text)
    assert list(outside.iterdir()) == []
    assert not (home / ".hidden").exists()


@virtual
@pytest.mark.asyncio
async def test_what_is_there_already_is_gone_on_with_or_stays(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An early version kept no records: its streams are known by what the sender sends."""
    async with serving(folder) as daemon:
        home = kept / f"127.0.0.1_{daemon.port}"
        (home / "sub").mkdir(parents=True)
        mine = {
            "a.png.dfc": stream_of("another picture", 700),
            "sub/c.jpg.dfc": b"",
            "b.png.png": b"painted",
            ".a.png.png.01234567.part": b"mine",
        }
        for name, data in mine.items():
            (home / name).write_bytes(data)
        (home / "b.png.dfc").write_bytes(stream_of("b.png", 2000))
        async with keeping(kept, daemon.url) as watcher:
            await watcher.until_complete("b.png")
            await watcher.until(lambda: caplog.text.count("it is kept") >= 3)
        assert (home / "b.png.dfc").read_bytes() == stream_of("b.png", 5000)
        assert files(home) == sorted([*mine, "b.png.dfc"])
        assert {name: (home / name).read_bytes() for name in mine} == mine


def test_a_folder_of_before_loses_its_second_endings(tmp_path: Path) -> None:
    ours = {"a.png.dfc.dfc": b"a", "sub/b.dfc.dfc": b"b", "sub/b.dfc": b"c", "c.png.dfc": b"d"}
    (tmp_path / "sub").mkdir()
    owned = OwnedFolder(Places(tmp_path))
    for name, data in ours.items():
        (tmp_path / name).write_bytes(data)
        owned.journal.note(name, Content.of(data))
    (tmp_path / "mine.dfc.dfc").write_bytes(b"mine")
    owned.journal.note("changed.dfc.dfc", Content.of(b"before"))
    (tmp_path / "changed.dfc.dfc").write_bytes(b"changed")
    owned.close()
    take_over(tmp_path)
    after = [*("a.png.dfc", "c.png.dfc", "changed.dfc.dfc", "mine.dfc.dfc")]
    assert files(tmp_path) == [*after, "sub/b.dfc", "sub/b.dfc.dfc"]
    assert (tmp_path / "a.png.dfc").read_bytes() == b"a"
    (tmp_path / FILE).write_bytes(b"{}")  # a mirror's, and none of before
    (tmp_path / "a.png.dfc").rename(tmp_path / "a.png.dfc.dfc")
    take_over(tmp_path)
    assert (tmp_path / "a.png.dfc.dfc").exists()
    take_over(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_which_senders_there_are(tmp_path: Path) -> None:
    one, two, base = "ws://one", "https://two/a.dfc?key", "wss://three/cam1//a.png"
    words = (one, f"{one}/a.png", two, "https://two/b.dfc", base)
    found = by_sender(map(Address.parse, words))
    assert {str(sender): [named.url for named in value] for sender, value in found.items()} == {
        "ws://one:8765": ["ws://one:8765"],
        "https://two:443": ["https://two:443/a.dfc?key", "https://two:443/b.dfc"],
        "wss://three:443/cam1/": ["wss://three:443/cam1//a.png"],
    }
    assert [folder_of(sender) for sender in found] == ["one_8765", "two_443", "three_443_cam1"]
    with pytest.raises(AddressError, match="names no picture"):
        Senders([Address.parse("http://store")], tmp_path, Mirror)
    same = [Address.parse("ws://one:80"), Address.parse("http://one/a.dfc")]
    with pytest.raises(AddressError, match="both have the folder"):
        Senders(same, tmp_path, Mirror)


@pytest.mark.asyncio
@pytest.mark.parametrize("urls", [(), ("ws://one", "ws://two"), ("http://one",)])
async def test_a_mirror_is_of_one_sender(urls: tuple[str, ...], tmp_path: Path) -> None:
    async with Mirror(tmp_path) as mirror:
        with pytest.raises(AddressError):
            await mirror.run(*map(Address.parse, urls))
