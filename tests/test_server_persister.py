"""One stream and the store: recalled, saved as it grows, and no longer than it is wanted there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from diffc_server.cache.lease import RENEW
from diffc_server.cache.persister import PATIENCE, SAVE_EVERY, Persister
from diffc_server.cache.store import Store, Stored, open_store
from diffc_server.cache.stream_key import stream_key
from diffc_server.catalogue.file import File
from diffc_server.ops.metrics import SenderMetrics
from diffc_server.threads.pools import WorkerPools

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

MODEL = "0f0f0f0f"
DATA = bytes(range(256))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"a picture")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def part(length: int) -> Stored:
    return Stored(data=DATA[:length], complete=False)


async def saved(persister: Persister, stream: Stored) -> None:
    persister.save(stream)
    assert persister.task is not None
    await asyncio.wait([persister.task])


async def test_what_is_saved_is_recalled(picture: Path, store: Store) -> None:
    persister, other = (
        Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics()) for _ in range(2)
    )
    assert await persister.recall(b"") is None
    await saved(persister, part(100))
    assert store.load(stream_key(File.at(picture), MODEL)) == part(100)
    assert await other.recall(b"") == part(100)
    assert await other.recall(DATA[:50]) == part(100)
    assert await other.recall(DATA[:101]) is None
    assert await other.recall(b"something else") is None


async def test_nothing_is_saved_before_it_is_known_what_is_there(
    picture: Path, store: Store
) -> None:
    persister = Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    persister.save(part(100))
    assert persister.task is None


async def test_of_those_that_wait_the_last_is_saved(picture: Path, store: Store) -> None:
    persister = Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    await persister.recall(b"")
    lengths: list[int] = []
    save = store.save

    def spy(key: str, stored: Stored) -> object:
        lengths.append(len(stored.data))
        return save(key, stored)

    store.save = spy  # type: ignore[method-assign, assignment]
    for length in (10, 20, 30):
        persister.save(part(length))
    await saved(persister, part(40))
    assert lengths == [40]
    await saved(persister, part(40))  # touched, and no more
    await saved(persister, Stored(data=DATA[:40], complete=True))
    assert lengths == [40, 40]


async def test_it_is_due_now_and_then(picture: Path, store: Store) -> None:
    persister = Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    await persister.recall(b"")
    due = [persister.due]
    await asyncio.sleep(SAVE_EVERY)
    due.append(persister.due)
    await saved(persister, part(10))
    due.append(persister.due)
    assert due == [False, True, False]


async def test_who_comes_second_saves_nothing_more(picture: Path, store: Store) -> None:
    persister = Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    await persister.recall(b"")
    theirs = Stored(data=b"theirs", complete=False)
    store.save(stream_key(File.at(picture), MODEL), theirs)
    await saved(persister, part(100))
    persister.save(part(200))
    assert store.load(stream_key(File.at(picture), MODEL)) == theirs
    assert await persister.recall(b"") is None


async def test_what_was_given_and_cannot_be_used_is_disowned(picture: Path, store: Store) -> None:
    key = stream_key(File.at(picture), MODEL)
    store.save(key, part(100))
    persister = Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    await persister.recall(b"")
    await persister.delete(DATA)
    assert store.load(key) is None
    # It was nothing of the store's that did not fit: what is there by now stays.
    store.save(key, part(100))
    await Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics()).delete(DATA)
    assert store.load(key) == part(100)


async def test_a_store_that_does_not_answer_has_nothing(
    picture: Path, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffc_server.cache.persister.PATIENCE", 0.0)
    store.save(stream_key(File.at(picture), MODEL), part(100))
    workers = WorkerPools(1)
    persister, never = (
        Persister(store, File.at(picture), MODEL, workers, SenderMetrics()),
        asyncio.Event(),
    )

    async def wait(*_: object) -> None:
        await never.wait()

    monkeypatch.setattr(workers, "recall", wait)
    assert await persister.recall(b"") is None
    assert "cannot be read: it does not answer" in caplog.text


async def test_after_closing_nothing_is_saved(picture: Path, store: Store) -> None:
    persister = Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    await persister.recall(b"")
    persister.save(part(10))
    persister.close()
    await asyncio.sleep(0)
    persister.save(part(20))
    assert persister.task is None


async def test_the_lease_is_held_while_there_is_work(picture: Path, store: Store) -> None:
    first, other = (
        Persister(store, File.at(picture), MODEL, WorkerPools(1), SenderMetrics()) for _ in range(2)
    )
    assert await first.claim()
    assert await first.claim()
    assert await other.elsewhere()
    assert not await other.claim()
    for _ in range(5):
        first.work(active=True)
        first.work(active=False)
        await asyncio.sleep(RENEW)
        assert first.claimed
    at_release = []
    first.before_release = lambda: at_release.append(first.claimed)
    await asyncio.sleep(RENEW)
    at_release.append(first.claimed)
    assert at_release == [True, False]
    assert await first.claim()  # at once, although the first lease is being released
    first.release()
    assert first.task is not None
    await asyncio.wait([first.task])
    assert not await other.elsewhere()
    assert await other.claim()
    other.close()
    assert await first.claim()
    first.close()


async def test_a_store_that_leases_nothing_in_time_is_done_without(
    picture: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, metrics, never = WorkerPools(1), SenderMetrics(), asyncio.Event()
    persister = Persister(store, File.at(picture), MODEL, workers, metrics)

    async def wait(*_: object) -> None:
        await never.wait()

    monkeypatch.setattr(workers, "recall", wait)
    assert await persister.claim()
    assert metrics.leases == {"here": 0, "elsewhere": 0, "none": 1}
    assert not await persister.elsewhere()
    persister.release()
    monkeypatch.setattr(workers, "write", wait)
    persister.save(part(100))
    assert persister.task is None  # it is not known what is there
    await persister.recall(b"")
    await saved(persister, part(100))
    assert store.troubles.counts == {"read": 3, "written": 1, "leased": 0}
    persister.close()


async def test_a_store_that_takes_nothing_holds_up_no_encoder(
    picture: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, metrics, never = WorkerPools(1), SenderMetrics(), asyncio.Event()
    persister = Persister(store, File.at(picture), MODEL, workers, metrics)
    await persister.recall(b"")
    assert await persister.claim()

    async def wait(*_: object) -> None:
        await never.wait()

    monkeypatch.setattr(workers, "write", wait)
    persister.save(part(100))
    persister.release()
    began = asyncio.get_running_loop().time()
    # Its own lease is still there.
    assert await persister.claim()
    assert metrics.leases == {"here": 1, "elsewhere": 0, "none": 1}
    assert asyncio.get_running_loop().time() - began == PATIENCE
    assert persister.task is not None
    await asyncio.wait([persister.task])
    assert store.troubles.counts["written"] == 1
    assert not await persister.elsewhere()
    persister.close()


async def test_without_a_store_there_is_a_key(picture: Path) -> None:
    persister = Persister(None, File.at(picture), MODEL, WorkerPools(1), SenderMetrics())
    assert await persister.key() == stream_key(File.at(picture), MODEL)
    assert await persister.recall(b"") is None
    assert persister.claimed
    assert await persister.claim()
    assert not await persister.elsewhere()
    persister.save(part(10))
    persister.release()
    assert persister.task is None


async def test_a_lease_whose_release_is_cut_short_ends_with_the_sender(
    picture: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, never = WorkerPools(1), asyncio.Event()
    persister = Persister(store, File.at(picture), MODEL, workers, SenderMetrics())
    assert await persister.claim()
    lease = persister._lease  # so that it is not the collector who ends it

    async def wait(*_: object) -> None:
        await never.wait()

    with monkeypatch.context() as patch:
        patch.setattr(workers, "recall", wait)
        persister.release()
        await asyncio.sleep(0)
        assert persister.task is not None
        persister.close()
        await asyncio.wait([persister.task])
    other = Persister(store, File.at(picture), MODEL, workers, SenderMetrics())
    assert not await other.elsewhere()
    assert lease is not None
    other.close()
