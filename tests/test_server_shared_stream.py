"""One stream for all who ask: from the store as far as it has it, then from an encoder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from serving import settled
from writing import FINGERPRINT, WriterOpener, stream

from diffc_server import Pipeline, Source, Store, open_store
from diffc_server.cache.backend import SUFFIX
from diffc_server.cache.lease import NoLease
from diffc_server.cache.store import Stored
from diffc_server.cache.stream_key import stream_key
from diffc_server.catalogue.file import File
from diffc_server.encoding.shared_stream import SharedStream
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

pytestmark = pytest.mark.asyncio
WHOLE = stream()
EVERYTHING = 10**6


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"a picture")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def kept(store: Store, picture: Path) -> Stored | None:
    return store.load(stream_key(File.at(picture), FINGERPRINT))


async def reached(
    picture: Path, store: Store | None, opener: WriterOpener, length: int
) -> SharedStream:
    """Compute so much in a sender of its own, which then ends."""
    pipeline = Pipeline(opener, store=store)
    shared = pipeline.stream(picture)
    try:
        await shared.reach(length)
    finally:
        await settled(lambda: shared.saving is None and not shared.busy)
        await pipeline.save()
        pipeline.close()
    return shared


@pytest.mark.parametrize("length", [1, 1000, 5000, EVERYTHING])
async def test_the_second_time_nothing_is_opened(picture: Path, store: Store, length: int) -> None:
    first = await reached(picture, store, WriterOpener(), length)
    stored = kept(store, picture)
    assert stored == Stored(data=first.read(0, EVERYTHING), complete=length == EVERYTHING)
    opener = WriterOpener()
    second = await reached(picture, store, opener, length)
    assert (opener.prefixes, opener.computed) == ([], 0)
    assert second.read(0, EVERYTHING) == first.read(0, EVERYTHING)
    assert (second.pixels, second.model, second.complete) == (600, FINGERPRINT, first.complete)
    assert second.curve.offsets == first.curve.offsets


async def test_more_goes_on_from_what_is_there(picture: Path, store: Store) -> None:
    first = await reached(picture, store, WriterOpener(), 1000)
    opener = WriterOpener()
    second = await reached(picture, store, opener, EVERYTHING)
    assert opener.prefixes == [len(first)]
    assert opener.computed == len(WHOLE) - len(first)
    assert second.read(0, EVERYTHING) == WHOLE
    assert kept(store, picture) == Stored(data=WHOLE, complete=True)


async def test_what_another_sender_has_computed_meanwhile_is_taken(
    picture: Path, store: Store
) -> None:
    opener = WriterOpener()
    pipeline = Pipeline(opener, store=store)
    shared = pipeline.stream(picture)
    await shared.reach(1000)
    shared.rest()
    await reached(picture, store, WriterOpener(), 6000)
    await shared.reach(6000)
    assert opener.prefixes == [0]
    await shared.reach(EVERYTHING)
    assert shared.read(0, EVERYTHING) == WHOLE
    pipeline.close()


async def test_it_is_saved_as_it_grows(
    picture: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffc_server.cache.persister.SAVE_EVERY", 0.0)
    pipeline = Pipeline(WriterOpener(), store=store)
    shared = pipeline.stream(picture)
    shared.join(lambda: None)
    await shared.reach(1000)
    await settled(lambda: not shared.busy)
    stored = kept(store, picture)
    assert stored is not None
    assert 0 < len(stored.data) <= len(shared)
    pipeline.close()


@pytest.mark.parametrize("refuses", [False, True])
async def test_what_cannot_be_continued_is_encoded_anew(
    picture: Path, store: Store, caplog: pytest.LogCaptureFixture, refuses: bool
) -> None:
    """Too late for who has received some of it; the next one gets it."""
    await reached(picture, store, WriterOpener(), 1000)
    opener = WriterOpener(salt=3)
    opener.refuses = refuses
    pipeline = Pipeline(opener, store=store)
    with pytest.raises(RequestRefused, match="cannot be continued"):
        await pipeline.stream(picture).reach(EVERYTHING)
    assert "it cannot be continued" in caplog.text
    assert kept(store, picture) is None
    again = pipeline.stream(picture)
    await again.reach(EVERYTHING)
    assert again.read(0, EVERYTHING) == stream(salt=3)
    await pipeline.save()
    assert kept(store, picture) == Stored(data=stream(salt=3), complete=True)
    pipeline.close()


async def test_who_stored_first_stays_and_others_are_served(
    picture: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store cannot say who encodes."""
    monkeypatch.setattr(store, "claim", lambda _: NoLease())
    opener = WriterOpener(salt=3)
    pipeline = Pipeline(opener, store=store)
    shared = pipeline.stream(picture)
    shared.join(lambda: None)
    await shared.reach(1000)
    await reached(picture, store, WriterOpener(), 1000)
    await shared.reach(EVERYTHING)
    assert shared.read(0, EVERYTHING) == stream(salt=3)
    await pipeline.save()
    stored = kept(store, picture)
    assert stored is not None
    assert WHOLE.startswith(stored.data)
    pipeline.close()


async def test_damage_is_noticed_and_encoded_anew(
    picture: Path, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await reached(picture, store, WriterOpener(), EVERYTHING)
    path = tmp_path / "store" / f"{stream_key(File.at(picture), FINGERPRINT)}{SUFFIX}"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    opener = WriterOpener()
    shared = await reached(picture, store, opener, EVERYTHING)
    assert shared.read(0, EVERYTHING) == WHOLE
    assert opener.prefixes == [0]
    assert "damaged data" in caplog.text
    assert kept(store, picture) == Stored(data=WHOLE, complete=True)


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


class Replacing(WriterOpener):
    """While a picture is opened, another is put in its place."""

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file."""
        path.write_bytes(b"another picture")
        return super().open(path, model, prefix)


async def test_a_picture_that_is_replaced_is_not_taken_for_what_it_was(
    picture: Path, store: Store
) -> None:
    pipeline = Pipeline(Replacing(), store=store)
    shared = pipeline.stream(picture)
    with pytest.raises(RequestRefused, match="being replaced") as caught:
        await shared.reach(1000)
    assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
    assert len(shared) == 0
    await pipeline.save()
    write(picture, b"a picture")
    assert kept(store, picture) is None
    pipeline.close()


async def test_a_picture_that_goes_while_it_is_asked_for(picture: Path, store: Store) -> None:
    pipeline = Pipeline(WriterOpener(), store=store)
    shared = pipeline.stream(picture)
    os.unlink(picture)  # noqa: PTH108
    with pytest.raises(RequestRefused, match="cannot be read"):
        await shared.reach(1000)
    pipeline.close()


async def test_streams_from_disk_are_not_stored(tmp_path: Path, store: Store) -> None:
    ready = tmp_path / "ready.dfc"
    ready.write_bytes(b"")
    await reached(ready, store, WriterOpener(), EVERYTHING)
    assert [path.name for path in (tmp_path / "store").iterdir()] == []


async def test_a_store_that_fails_is_only_a_pity(
    picture: Path, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.rename(tmp_path / "store", tmp_path / "away")  # noqa: PTH104
    for _ in range(3):
        shared = await reached(picture, store, WriterOpener(), EVERYTHING)
        assert shared.read(0, EVERYTHING) == WHOLE
    assert caplog.text.count("cannot be read: No such file") == 1
    assert caplog.text.count("cannot be written: No such file") == 1
    os.rename(tmp_path / "away", tmp_path / "store")  # noqa: PTH104
    await reached(picture, store, WriterOpener(), EVERYTHING)
    assert kept(store, picture) == Stored(data=WHOLE, complete=True)
