"""One stream for all who ask: from the store as far as it has it, then from an encoder."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from serving import settled
from writing import FINGERPRINT, STEPS, WriterOpener, stream

from diffc_server import Pipeline, Source, Store, open_store
from diffc_server.cache.backend import SUFFIX
from diffc_server.cache.store import Stored, stream_key
from diffc_server.catalogue.file import File
from diffc_server.encoding.shared_stream import REST, SharedStream
from diffc_stream.errors import RequestRefused, UnreadablePicture
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


async def test_who_stored_first_stays_and_others_are_served(picture: Path, store: Store) -> None:
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
    assert "was damaged" in caplog.text
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


@dataclass(eq=False, slots=True)
class Purse:
    """An account that has so many charges left, and then has to be filled."""

    left: int = EVERYTHING
    charged: float = 0.0
    charges: int = 0

    def wait(self) -> float:
        """Return 60 if there is nothing left."""
        return 0.0 if self.left > 0 else 60.0

    def charge(self, seconds: float) -> None:
        """Take one, whatever it was."""
        self.left -= 1
        self.charges += 1
        self.charged += seconds


class Steady(WriterOpener):
    """Every piece takes a second, by the clock that is looked at."""

    now = 0.0

    def _pieces(self, model: str, held: int) -> Iterator[bytes]:
        for piece in super()._pieces(model, held):
            Steady.now += 1.0
            yield piece


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Steady:
    monkeypatch.setattr("diffc_server.threads.encoder_threads.perf_counter", lambda: Steady.now)
    return Steady()


async def test_who_listens_pays_a_share(picture: Path, store: Store, steady: Steady) -> None:
    pipeline = Pipeline(steady, store=store)
    shared, first, second = pipeline.stream(picture), Purse(), Purse()
    await shared.reach(1, first)
    assert (first.charged, second.charged) == (1.0, 0.0)

    def wake() -> None:
        pass

    shared.join(wake, first)
    await shared.reach(len(shared) + 1, second)
    assert (first.charged, second.charged) == (1.5, 0.5)
    await shared.reach(len(shared) + 1)  # and a third who pays nothing, but has a share
    assert (first.charged, second.charged) == (2.0, 0.5)
    # What is there costs nothing, nor does what comes from the store.
    await shared.reach(1, second)
    shared.leave(wake)
    await pipeline.save()
    pipeline.close()
    again = Pipeline(steady, store=store)
    await again.stream(picture).reach(1, second)
    assert second.charged == 0.5
    again.close()


async def test_who_cannot_pay_is_told_when_to_come_back(picture: Path) -> None:
    opener = WriterOpener()
    pipeline = Pipeline(opener)
    shared, poor = pipeline.stream(picture), Purse(left=0)
    with pytest.raises(RequestRefused, match="as much encoded as you may") as caught:
        await shared.reach(0, poor)
    assert (caught.value.code, caught.value.retry, caught.value.after) == (Code.BUSY, True, 60.0)
    assert opener.prefixes == []
    # Others who can pay are not disturbed, and what they have computed is for all.
    await shared.reach(1000, Purse())
    await shared.reach(1000, poor)
    pipeline.close()


@pytest.mark.virtual_time
async def test_in_the_middle_it_waits_until_somebody_can_pay(picture: Path) -> None:
    opener = WriterOpener()
    pipeline = Pipeline(opener)
    shared, poor = pipeline.stream(picture), Purse(left=3)

    def wake() -> None:
        pass

    shared.join(wake, poor)
    shared.want(EVERYTHING)
    await settled(lambda: shared.refusal(poor) is not None)
    assert poor.charges == 3  # to open it, and two pieces
    assert shared.refusal() is None
    there = len(shared)
    rich = Purse()
    await shared.reach(there + 1000, rich)
    assert rich.charges > 0
    poor.left = 1000
    await asyncio.sleep(60.0)
    assert shared.complete
    assert rich.charges + poor.charges > STEPS
    pipeline.close()


@pytest.mark.virtual_time
async def test_who_waits_until_it_can_pay_keeps_nobody_from_computing(picture: Path) -> None:
    pipeline = Pipeline(WriterOpener(), seats=1)
    shared, poor = pipeline.stream(picture), Purse(left=3)
    shared.join(lambda: None, poor)
    shared.want(EVERYTHING)
    await settled(lambda: shared.refusal(poor) is not None)
    other = picture.with_name("b.png")
    write(other, b"another picture")
    await pipeline.stream(other).reach(EVERYTHING)
    assert not shared.awake
    poor.left = 1000
    await asyncio.sleep(120.0)
    assert shared.read(0, EVERYTHING) == WHOLE
    pipeline.close()


class Scarce(WriterOpener):
    """Nothing can be opened, for a reason of the moment or of the picture."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file, or say why not."""
        if self.error is not None:
            raise UnreadablePicture(f"{path}: no") from self.error
        return super().open(path, model, prefix)


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, "no") for number in (errno.EMFILE, errno.ENFILE, errno.EIO)),
        *(OSError(errno.ENOMEM, "no"), MemoryError(), RuntimeError("can't start new thread")),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["a.png", "a.dfc"])
async def test_what_ran_out_is_no_property_of_the_picture(
    tmp_path: Path, error: Exception, name: str
) -> None:
    path, opener = tmp_path / name, Scarce(error)
    path.write_bytes(b"a picture")
    pipeline = Pipeline(opener)
    shared = pipeline.stream(path)
    with pytest.raises(RequestRefused, match="at the moment") as caught:
        await shared.reach(1000)
    assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
    assert caught.value.after
    opener.error = None
    assert pipeline.stream(path) is shared
    await shared.reach(EVERYTHING)
    assert shared.read(0, EVERYTHING) == WHOLE
    pipeline.close()


async def test_no_thread_to_be_had_is_a_reason_of_the_moment(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pipeline = Pipeline(WriterOpener())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(RequestRefused, match="at the moment"):
            await pipeline.stream(picture).reach(1000)
    await pipeline.stream(picture).reach(1000)
    pipeline.close()


@pytest.mark.virtual_time
async def test_nobody_coming_back_for_long_nothing_is_held_but_bytes(picture: Path) -> None:
    opener = WriterOpener()
    pipeline = Pipeline(opener)
    shared = pipeline.stream(picture)
    await shared.reach(1000)
    await settled(lambda: not shared.busy)
    assert (shared.awake, pipeline.slots.in_use) == (True, 1)
    await asyncio.sleep(REST + 1)
    assert (shared.awake, pipeline.slots.in_use) == (False, 0)
    await shared.reach(EVERYTHING)
    assert len(opener.prefixes) == 2
    assert shared.read(0, EVERYTHING) == WHOLE
    pipeline.close()


@pytest.mark.virtual_time
async def test_who_listens_keeps_what_computes(picture: Path) -> None:
    pipeline = Pipeline(WriterOpener())
    shared = pipeline.stream(picture)
    await shared.reach(1000)
    await settled(lambda: not shared.busy)
    shared.join(lambda: None)
    await asyncio.sleep(2 * REST)
    assert shared.awake
    pipeline.close()
