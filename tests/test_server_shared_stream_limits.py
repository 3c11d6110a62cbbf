"""One stream for all who ask, and what it costs: who pays, who waits, what is held."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from serving import settled
from writing import STEPS, WriterOpener, stream

from diffc_server import Pipeline, Source, Store, open_store
from diffc_server.encoding.shared_stream import REST
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


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


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
    with pytest.raises(RequestRefused, match="limit of encoder time") as caught:
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
    pipeline = Pipeline(WriterOpener(), slots=1)
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
