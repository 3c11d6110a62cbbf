"""Several senders and one store: each picture is encoded once, and nothing wrong is ever taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import faulty_files
import pytest
from serving import settled
from writing import WriterOpener, stream

from diffc_server import Pipeline, Store, open_store
from diffc_server.cache.backend import FolderBackend
from diffc_server.cache.lease import LEASE, RENEW, Leases
from diffc_server.cache.object_store import ObjectStore
from diffc_server.encoding.shared_stream import SharedStream
from diffc_server.ops.metrics import SenderMetrics

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]
WHOLE = stream()
EVERYTHING = 10**6
PICTURES = 6


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    yield
    faulty_files.inject()


@pytest.fixture(params=["folder", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "store").mkdir()
    return f"{tmp_path}/store" if request.param == "folder" else f"faulty://{tmp_path}/store"


def pictures(home: Path, count: int = PICTURES) -> list[Path]:
    home.mkdir()
    paths = [home / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(f"picture {number}".encode())
    return paths


class Sender:
    """One of several senders, with pictures of its own."""

    def __init__(
        self, home: Path, place: str, opener: WriterOpener | None = None, *, engine: str = "0" * 16
    ) -> None:
        self.pictures = pictures(home)
        self.opener = opener or WriterOpener()
        self.metrics = SenderMetrics()
        self.store = open_store(place)
        self.pipeline = Pipeline(self.opener, store=self.store, metrics=self.metrics, engine=engine)

    def stream(self, number: int = 0) -> SharedStream:
        """Return the stream of a picture."""
        return self.pipeline.stream(self.pictures[number])

    async def all(self) -> list[bytes]:
        """Ask for all pictures at once."""
        await asyncio.gather(*(self.stream(n).reach(EVERYTHING) for n in range(PICTURES)))
        return [self.stream(n).held() for n in range(PICTURES)]

    async def end(self) -> None:
        """Stop in good order."""
        await settled(lambda: not any(stream.busy for stream in self.pipeline._held))
        self.pipeline.close()


async def test_each_picture_is_encoded_once(tmp_path: Path, place: str) -> None:
    senders = [Sender(tmp_path / name, place) for name in "abc"]
    found = await asyncio.gather(*(sender.all() for sender in senders))
    assert found == [[WHOLE] * PICTURES] * 3
    assert sum(len(sender.opener.prefixes) for sender in senders) == PICTURES
    assert sum(sender.metrics.leases["here"] for sender in senders) >= PICTURES
    tags = [[await sender.stream(n).tag() for n in range(PICTURES)] for sender in senders]
    assert tags[0] == tags[1] == tags[2]
    assert len(set(tags[0])) == PICTURES
    for sender in senders:
        await sender.end()
    left = [path.name for path in (tmp_path / "store").iterdir() if "lease" in path.name]
    assert left == []


async def test_what_another_encodes_comes_as_it_grows(tmp_path: Path, place: str) -> None:
    first, second = Sender(tmp_path / "a", place), Sender(tmp_path / "b", place)
    one, two = first.stream(), second.stream()
    one.join(lambda: None)
    await one.reach(500)
    following = asyncio.create_task(two.reach(EVERYTHING))
    lengths = []
    for length in range(1500, 8000, 1000):
        await one.reach(length)
        await asyncio.sleep(RENEW - 1)
        assert one.held().startswith(two.held())
        lengths.append(len(two))
    assert len(set(lengths)) > 3
    await one.reach(EVERYTHING)
    await following
    assert two.held() == WHOLE
    assert second.opener.prefixes == []
    await first.end()
    await second.end()


async def test_who_leaves_while_another_encodes_can_come_back(tmp_path: Path, place: str) -> None:
    first, second = Sender(tmp_path / "a", place), Sender(tmp_path / "b", place)
    one, two = first.stream(), second.stream()
    one.join(lambda: None)
    await one.reach(500)
    for _ in range(3):
        following = asyncio.create_task(two.reach(EVERYTHING))
        await settled(lambda: two._sharing.following)
        following.cancel()
        await asyncio.wait([following])
        await settled(lambda: not two.busy)
    following = asyncio.create_task(two.reach(EVERYTHING))
    await one.reach(EVERYTHING)
    await following
    assert two.held() == WHOLE
    await first.end()
    await second.end()


async def test_who_wants_more_than_the_other_encodes_goes_on(tmp_path: Path, place: str) -> None:
    """The lease is for those who encode, not for those who might."""
    first, second = Sender(tmp_path / "a", place), Sender(tmp_path / "b", place)
    one, two = first.stream(), second.stream()
    one.join(lambda: None)  # and never leaves
    await one.reach(1000)
    going = asyncio.create_task(two.reach(EVERYTHING))
    await settled(lambda: second.metrics.leases["elsewhere"] == 1)
    assert not second.metrics.leases["here"]
    await going
    assert second.opener.prefixes == [len(one)]
    # And the first takes from the second what it wants in the end.
    await one.reach(EVERYTHING)
    assert one.held() == two.held() == WHOLE
    assert first.opener.prefixes == [0]
    await first.end()
    await second.end()


async def test_who_dies_is_succeeded(tmp_path: Path) -> None:
    place = f"faulty://{tmp_path}/store"
    now = asyncio.get_running_loop().time
    senders = [Sender(tmp_path / name, place) for name in "abc"]
    for sender in senders:
        shelf = sender.store._shelf
        assert isinstance(shelf, ObjectStore)
        shelf._leases = Leases(shelf, clock=now, steady=now)
    first, *others = senders
    first.stream().join(lambda: None)
    await first.stream().reach(1000)
    going = [asyncio.create_task(other.stream().reach(EVERYTHING)) for other in others]
    await settled(lambda: all(other.metrics.leases["elsewhere"] for other in others))
    first.pipeline.close()  # without a word to the store
    began = now()
    await asyncio.gather(*going)
    assert LEASE < now() - began < LEASE + 2
    assert [other.stream().held() for other in others] == [WHOLE] * 2
    assert sum(len(other.opener.prefixes) for other in others) == 1
    for other in others:
        await other.end()
    assert [path for path in (tmp_path / "store").iterdir() if "lease" in path.name] == []


async def test_encoders_that_round_differently(tmp_path: Path, place: str) -> None:
    """One goes on from what the other has stored; but tags tell the streams apart."""
    first = Sender(tmp_path / "a", place)
    second = Sender(tmp_path / "b", place, engine="1" * 16)
    begun = await first.stream().tag()
    await first.stream().reach(1000)
    await settled(lambda: not first.stream().busy)
    after = await second.stream().tag()
    assert after != begun
    await second.stream().reach(EVERYTHING)
    assert await second.stream().tag() == after
    await settled(lambda: not second.stream().busy)
    third = Sender(tmp_path / "c", place)
    assert await third.stream().tag() == after
    for sender in (first, second, third):
        await sender.end()


FAULTS: dict[str, dict[str, object]] = {
    "failing": {"failing": 0.3},
    "all failing": {"failing": 1.0},
    "lost answers": {"unheard": 0.5},
    "old data": {"stale": 0.5},
    "no exclusion": {"shared": True},
    "torn": {"torn": 0.3},
    "everything": {"failing": 0.2, "unheard": 0.2, "stale": 0.3, "shared": True, "torn": 0.1},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_wrong_is_served_whatever_the_store_does(
    tmp_path: Path, fault: str, seed: int
) -> None:
    (tmp_path / "store").mkdir()
    place = f"faulty://{tmp_path}/store"
    senders = [Sender(tmp_path / name, place) for name in "abc"]
    faulty_files.inject(**FAULTS[fault], seed=seed)
    found = await asyncio.gather(*(sender.all() for sender in senders))
    assert found == [[WHOLE] * PICTURES] * 3
    for sender in senders:
        await sender.end()
    # And nothing wrong is left.
    faulty_files.inject()
    later = Sender(tmp_path / "d", place)
    assert await later.all() == [WHOLE] * PICTURES
    await later.end()


async def test_a_store_that_hangs_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").mkdir()
    answers = threading.Event()
    sender = Sender(tmp_path / "a", f"faulty://{tmp_path}/store")
    faulty_files.inject(wait=lambda: answers.wait(60) and None)
    began = asyncio.get_running_loop().time()
    try:
        sender.store.troubles.rest()
        assert await sender.all() == [WHOLE] * PICTURES
        assert asyncio.get_running_loop().time() - began < 1.0
    finally:
        answers.set()
    await sender.end()
    assert sender.metrics.leases["none"] == PICTURES
    assert caplog.text == ""


async def test_a_cache_in_front_serves_while_the_store_is_away(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    place = f"faulty://{tmp_path}/store"
    cache = tmp_path / "cache"
    sender = Sender(tmp_path / "a", place)
    assert await sender.all() == [WHOLE] * PICTURES
    await sender.end()

    def cached() -> Store:
        return open_store(place, cache=cache)

    for failing in (0.0, 1.0):
        faulty_files.inject(failing=failing)
        opener = WriterOpener()
        pipeline = Pipeline(opener, store=cached(), engine="0" * 16)
        for path in sender.pictures:
            await pipeline.stream(path).reach(EVERYTHING)
            assert pipeline.stream(path).held() == WHOLE
        assert opener.prefixes == []
        pipeline.close()
    assert len(FolderBackend(cache).entries()) == PICTURES
