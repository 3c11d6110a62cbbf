"""One picture, once: and what was received before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fakes import FINGERPRINT, FakeDecoders, FakeOpener, StreamOpener, stream_of
from serving import pictures, serving

from diffc_client import Address, FileStream
from diffc_client.cli.fetch import Fetched, Request, fetch
from diffc_client.storage.cache import Store
from diffc_stream.container import Header, Reference
from diffc_stream.container.reference import DIGEST
from diffc_stream.errors import (
    DestinationError,
    MissingReference,
    NotAStream,
    NothingDecodable,
    PeerError,
)
from diffc_stream.picture import load_picture
from diffc_stream.session import Target, Terms


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of what comes over the link, as it does."""
    sizes: list[int] = []
    append = FileStream.append

    def noted(self: FileStream, data: bytes) -> None:
        sizes.append(len(data))
        append(self, data)

    monkeypatch.setattr(FileStream, "append", noted)
    return sizes


class Fetcher:
    """Fetches a.png again and again, and sees what is shown meanwhile."""

    def __init__(self, url: str, home: Path) -> None:
        self.shown: list[int] = []
        self.out = home / "out.png"
        self.store = home / "store"
        self.address = Address.parse(f"{url}/a.png")

    async def __call__(
        self,
        *,
        bytes: int | None = None,  # noqa: A002
        keep_stream: Path | None = None,
        store: bool = True,
    ) -> Fetched:
        request = Request(
            address=self.address,
            out=self.out,
            target=Target(bytes=bytes),
            keep_stream=keep_stream,
            store=self.store if store else None,
            patience=0.01,
            terms=Terms(),
        )
        fetched = await fetch(request, FakeDecoders(), lambda r: self.shown.append(r.bytes))
        assert load_picture(self.out)[0, 0, 0] == fetched.bytes % 256
        return fetched

    def held(self) -> bytes:
        with Store(self.store).open(self.address) as kept:
            return kept.read()


@pytest.mark.asyncio
async def test_a_higher_target_asks_only_for_the_rest(
    folder: Path, tmp_path: Path, received: list[int]
) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        assert (await get(bytes=1000)).bytes == 1000
        assert sum(received) == 1000
        assert (await get(bytes=2500)).bytes == 2500
        assert sum(received) == 2500
        assert (await get()).bytes == 5000
        assert sum(received) == 5000
        assert (await get()).bytes == 5000
        assert sum(received) == 5000
    assert get.held() == stream_of("a.png", 5000)


@pytest.mark.asyncio
async def test_a_lower_target_uses_only_so_much(
    folder: Path, tmp_path: Path, received: list[int]
) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        await get(bytes=2000)
        get.shown.clear()
        assert (await get(bytes=700)).bytes == 700
        assert set(get.shown) == {700}
        assert sum(received) == 2000
    assert get.held() == stream_of("a.png", 2000)


@pytest.mark.asyncio
async def test_too_low_a_target_forgets_nothing(
    folder: Path, tmp_path: Path, received: list[int]
) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        await get(bytes=2000)
        with pytest.raises(NothingDecodable):
            await get(bytes=5)
        assert get.held() == stream_of("a.png", 2000)
        assert (await get(bytes=2100)).bytes == 2100
    assert sum(received) == 2100


@pytest.mark.asyncio
async def test_a_picture_that_was_replaced_is_begun_anew(
    folder: Path, tmp_path: Path, received: list[int]
) -> None:
    streams = {"a.png": stream_of("before", 5000)}
    async with serving(folder, StreamOpener(streams)) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        await get(bytes=1000)
        streams["a.png"] = stream_of("after", 5000)
        (folder / "a.png").write_bytes(b"after")
        assert (await get(bytes=800)).bytes == 800
        assert sum(received) == 1800
    assert get.held() == stream_of("after", 800)


def referring(length: int) -> bytes:
    """Return a stream that starts from one that no sender has."""
    gone = Reference(size=600, digest=bytes(DIGEST), name="gone.dfc", trust=b"\0")
    header = Header(
        model=FINGERPRINT, width=64, height=64, seed=0, ratio=200, about=True, reference=gone
    )
    return (header.encode() + bytes(length))[:length]


@pytest.mark.asyncio
@pytest.mark.parametrize("of", [FINGERPRINT, "87654321"])
async def test_the_old_picture_is_not_written_for_a_new_one_that_cannot_be_shown(
    folder: Path, tmp_path: Path, of: str
) -> None:
    """What is held is of another picture, perhaps of a model that has gone: no such file comes."""
    async with serving(folder, StreamOpener({"a.png": referring(5000)})) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        with Store(get.store).open(get.address) as kept:
            kept.append(stream_of("before", 900, of))
        with pytest.raises(MissingReference):
            await get()
    assert not get.out.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("junk", [b"what is this? not a stream", b"DFC", stream_of("before", 900)])
async def test_what_is_no_beginning_of_it_is_dropped(
    folder: Path, tmp_path: Path, junk: bytes
) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        with Store(get.store).open(get.address) as kept:
            kept.append(junk)
        assert (await get(bytes=800)).bytes == 800
    assert get.held() == stream_of("a.png", 800)


@pytest.mark.asyncio
async def test_what_is_of_a_model_that_has_gone_is_dropped(folder: Path, tmp_path: Path) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        with Store(get.store).open(get.address) as kept:
            kept.append(stream_of("a.png", 900, "87654321"))
        assert (await get(bytes=800)).bytes == 800
    assert get.held() == stream_of("a.png", 800)


@pytest.mark.asyncio
async def test_a_file_that_was_named_is_not_thrown_away(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.dfc"
    path.write_bytes(stream_of("another", 700))
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        with pytest.raises(PeerError) as caught:
            await get(keep_stream=path)
    assert caught.value.code == "prefix-mismatch"
    assert str(caught.value).startswith(f"{path} cannot be continued")
    assert path.read_bytes() == stream_of("another", 700)
    assert not get.out.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("mine", [b"<!DOCTYPE html>", b"my notes", b"Da"])
async def test_a_file_of_something_else_is_named_and_stays(
    folder: Path, tmp_path: Path, mine: bytes
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(mine)
    async with serving(folder) as daemon:
        with pytest.raises(NotAStream, match=r"notes\.txt is not a stream") as caught:
            await Fetcher(daemon.url, tmp_path)(keep_stream=path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == mine


@pytest.mark.asyncio
async def test_a_stream_is_not_kept_in_what_is_no_file(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    async with serving(folder) as daemon:
        for path in (tmp_path / "pipe", Path(os.devnull), folder):
            with pytest.raises(DestinationError, match="is not a file"):
                await Fetcher(daemon.url, tmp_path)(keep_stream=path)


@pytest.mark.asyncio
async def test_a_stream_is_not_kept_where_the_picture_is_written(
    folder: Path, tmp_path: Path
) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        (tmp_path / "beside").symlink_to(tmp_path)
        for path in (get.out, tmp_path / "beside" / get.out.name):
            with pytest.raises(DestinationError, match="both"):
                await get(keep_stream=path)
            assert not get.out.exists()
        get.out.write_bytes(stream_of("a.png", 900))
        (tmp_path / "kept.dfc").hardlink_to(get.out)
        with pytest.raises(DestinationError, match="both"):
            await get(keep_stream=tmp_path / "kept.dfc")
    assert get.out.read_bytes() == stream_of("a.png", 900)


@pytest.mark.asyncio
async def test_a_file_that_was_named_stands_in_for_the_store(
    folder: Path, tmp_path: Path, received: list[int]
) -> None:
    path = tmp_path / "kept.dfc"
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        await get(bytes=1000, keep_stream=path)
        assert not get.store.exists()
        await get(bytes=1500, keep_stream=path)
    assert path.read_bytes() == stream_of("a.png", 1500)
    assert sum(received) == 1500


@pytest.mark.asyncio
async def test_without_a_store_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    opener = FakeOpener()
    async with serving(folder, opener) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        for _ in range(2):
            assert (await get(bytes=1000, store=False)).bytes == 1000
    assert not get.store.exists()


@pytest.mark.asyncio
async def test_a_store_that_cannot_be_used_is_done_without(folder: Path, tmp_path: Path) -> None:
    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        with Store(get.store).open(get.address) as kept:
            kept.append(stream_of("a.png", 100))
            # Somebody else receives the same picture.
            assert (await get(bytes=1000)).bytes == 1000
            assert kept.length == 100
        get.store = folder / "b.png"
        assert (await get(bytes=900)).bytes == 900
        assert (folder / "b.png").read_bytes() == b"b.png"


@pytest.mark.asyncio
@pytest.mark.parametrize("room", [0, 700, 3000])
async def test_a_store_whose_disk_is_full_costs_no_picture(
    folder: Path,
    tmp_path: Path,
    room: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    append = FileStream.append

    def full(self: FileStream, data: bytes) -> None:
        if self.length + len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, data)

    async with serving(folder) as daemon:
        get = Fetcher(daemon.url, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(FileStream, "append", full)
            assert (await get()).bytes == 5000
        messages = [text for text in caplog.messages if "cannot be cached" in text]
        assert messages == ["the stream cannot be cached: No space left on device"]
        assert get.held() == stream_of("a.png", len(get.held()))
        assert (await get()).bytes == 5000
    assert get.held() == stream_of("a.png", 5000)


@pytest.mark.asyncio
async def test_a_store_that_cannot_be_opened_is_said_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Store, "open", full)
    async with serving(folder) as daemon:
        assert (await Fetcher(daemon.url, tmp_path)(bytes=900)).bytes == 900
    assert [text for text in caplog.messages if "streams cannot be cached: Read-only" in text]


@pytest.mark.asyncio
async def test_two_senders_have_nothing_in_common(
    folder: Path, tmp_path: Path, received: list[int]
) -> None:
    async with serving(folder) as one, serving(folder) as other:
        for daemon in (one, other):
            assert (await Fetcher(daemon.url, tmp_path)(bytes=1000)).bytes == 1000
    assert sum(received) == 2000
