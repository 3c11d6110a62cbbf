"""What changes in a folder, as those see it who follow it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest
from following import following, put
from structlog.contextvars import bound_contextvars, get_contextvars

from diffc_server import Catalogue
from diffc_server.catalogue import history, scan, thumbprints, watcher
from diffc_server.catalogue.scan import Scan, scan_folder
from diffc_server.catalogue.thumbprints import Thumbprints
from diffc_server.catalogue.watcher import EVERY
from diffc_stream.session import encode
from diffc_stream.session.paging import Page

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "served"
    home.mkdir()
    for age, name in enumerate(("c.png", "a.png", "b.png")):
        put(home / name, age=1000 - age)
    return home


async def test_everything_and_then_what_changes(folder: Path) -> None:
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        [page] = await follower.next()
        assert ([entry.name for entry in page.images], page.changes) == (
            ["b.png", "a.png", "c.png"],
            False,
        )
        put(folder / "new.png")
        [page] = await follower.next()
        assert ([entry.name for entry in page.images], page.removed) == (["new.png"], ())
        assert page.changes
        (folder / "a.png").unlink()
        (folder / "b.png").unlink()
        [page] = await follower.next()
        assert (page.images, sorted(page.removed)) == ((), ["a.png", "b.png"])
        put(folder / "c.png", b"another")
        [page] = await follower.next()
        assert [entry.name for entry in page.images] == ["c.png"]
        assert follower.known == {e.name: e.thumbprint for e in catalogue.entries()}
        assert catalogue.changes._watching is not None
    # Nobody looks when nobody follows.
    assert catalogue.changes._watching is None


async def test_nothing_is_said_twice_to_who_comes_back(folder: Path) -> None:
    catalogue = Catalogue(folder)
    async with following(catalogue) as first:
        await first.next()
        async with following(catalogue, first.mark) as second:
            [page] = await second.next()
            assert (page.images, page.removed, page.changes) == ((), (), True)
            assert len(encode(page)) == 23
    put(folder / "a.png", b"another", age=100)
    (folder / "b.png").unlink()
    put(folder / "new.png", age=50)
    async with following(catalogue, before=first) as again:
        [page] = await again.next()
        assert ([entry.name for entry in page.images], page.removed) == (
            ["new.png", "a.png"],
            ("b.png",),
        )
    # After a restart of the sender it is known what has been added, if nothing else has changed.
    put(folder / "newer.png", age=10)
    async with following(Catalogue(folder), before=again) as once_more:
        [page] = await once_more.next()
        assert ([entry.name for entry in page.images], page.changes) == (["newer.png"], True)
    put(folder / "new.png", b"another one", age=5)
    async with following(Catalogue(folder), before=once_more) as last:
        [page] = await last.next()
        assert (len(page.images), page.changes) == (4, False)
    async with following(catalogue, "0" * 16) as stranger:
        [page] = await stranger.next()
        assert (len(page.images), page.changes) == (4, False)


async def test_who_has_got_some_pages_gets_the_others(folder: Path) -> None:
    for number in range(120):
        put(folder / f"{number:03}.png", age=500 - number)
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        pages = await follower.next()
        assert [len(page.images) for page in pages] == [50, 50, 23]
    times = [entry.time for page in pages for entry in page.images]
    assert times == sorted(times, reverse=True)
    # After a restart too.
    for one in (catalogue, Catalogue(folder)):
        async with following(one, pages[1].mark) as other:
            [rest] = await other.next()
            assert (rest.images, rest.changes) == (pages[2].images, True)


async def test_what_is_new_is_told_before_the_rest(folder: Path) -> None:
    for number in range(120):
        put(folder / f"{number:03}.png", age=500 - number)
    catalogue = Catalogue(folder)
    async with aclosing(catalogue.changes.pages(None)) as news:
        [first] = [page.message for page in await anext(news)]
        assert (len(first.images), first.last, first.changes) == (50, False, False)
        put(folder / "new.png", age=1)
        (folder / "119.png").unlink()  # it has been told
        (folder / "000.png").unlink()  # it has not
        await asyncio.sleep(2 * EVERY)
        [second] = [page.message for page in await anext(news)]
        assert ([entry.name for entry in second.images], second.last) == (["new.png"], False)
        assert set(second.removed) == {"119.png", "000.png"}
    # A link that breaks here goes on here.
    async with following(catalogue, second.mark) as again:
        rest = await again.next()
        known = {entry.name for page in (first, second, *rest) for entry in page.images}
        assert known - set(second.removed) == set(catalogue.versions())
        assert sum(len(page.images) for page in rest) == 123 - 50 - 1


async def test_many_changes_are_many_pages(folder: Path) -> None:
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        await follower.next()
        for name in ("a.png", "b.png"):
            (folder / name).unlink()
        for number in range(99):
            put(folder / f"{number:03}.png", age=500)
        pages = await follower.next()
        assert [len(page.images) + len(page.removed) for page in pages] == [2, 50, 49]
        assert len(follower.known) == 100
    # Whoever has heard some of it need not hear that again.
    for told in range(3):
        async with following(catalogue, pages[told].mark) as other:
            rest = await other.next()
            assert all(page.changes for page in rest)
            left = [page.images for page in pages[told + 1 :]]
            assert [page.images for page in rest] == (left or [()])


async def test_an_empty_folder(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    async with following(catalogue) as follower:
        [page] = await follower.next()
        assert (page.images, page.last) == ((), True)
        put(tmp_path / "a.png", age=1)
        [page] = await follower.next()
        assert [entry.name for entry in page.images] == ["a.png"]


async def test_a_file_that_is_being_written_waits(folder: Path) -> None:
    catalogue = Catalogue(folder)
    now = 1_000_000_000.0
    look = scan_folder(catalogue, Scan(seen={}, known={}), now)
    put(folder / "slow.png", b"1", age=-1)
    put(folder / "a.png", b"1", age=-1)
    before = look.known["a.png"]
    for written in (b"12", b"123", b"1234"):
        look = scan_folder(catalogue, look, now)
        assert "slow.png" not in look.known
        # Of one that was known before what was known stays.
        assert look.known["a.png"] == before
        put(folder / "slow.png", written, age=-1)
        put(folder / "a.png", written, age=-1)
    look = scan_folder(catalogue, look, now)
    assert "slow.png" not in look.known
    look = scan_folder(catalogue, look, now)
    assert {"slow.png", "a.png"} <= look.known.keys()
    assert look.known["a.png"] != before
    # What is old enough need not be looked at twice.
    put(folder / "old.png", age=3)
    assert "old.png" in scan_folder(catalogue, look, now).known


async def test_touching_a_file_is_said_and_changes_nothing_else(folder: Path) -> None:
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        await follower.next()
        known = dict(follower.known)
        os.utime(folder / "a.png", (1_000_000_000, 1_000_000_000))
        [page] = await follower.next()
        assert [entry.name for entry in page.images] == ["a.png"]
        assert follower.known == known


async def test_a_change_in_the_middle_is_told_at_the_next_look(folder: Path) -> None:
    path = folder / "latest.bmp"
    put(path, bytes(300_000), age=500)
    before = path.stat()
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        await follower.next()
        known = dict(follower.known)
        with path.open("r+b") as file:
            file.seek(150_000)
            file.write(b"!")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        [page] = await follower.next()
        assert [entry.name for entry in page.images] == ["latest.bmp"]
        assert follower.known["latest.bmp"] != known["latest.bmp"]
        [page] = (page.message for page in await catalogue.changes.listing())
        assert follower.known == {entry.name: entry.thumbprint for entry in page.images}


async def test_what_takes_long_to_read_is_read_a_look_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "READING", 1e-9)  # one file
    monkeypatch.setattr(thumbprints, "UNSETTLED", 0.0)
    catalogue = Catalogue(folder)
    first = scan_folder(catalogue, Scan(seen={}, known={}))
    assert (list(first.known), first.unread) == (["b.png"], 2)  # the newest
    # All are known before anything is told.
    async with following(catalogue) as follower:
        await follower.next()
        assert len(follower.known) == 3
        known = dict(follower.known)
        for age, name in enumerate(("x.png", "y.png")):
            put(folder / name, age=10 + age)
        put(folder / "a.png", b"another", age=5)
        for names in (["a.png"], ["x.png"], ["y.png"]):
            [page] = await follower.next()
            assert [entry.name for entry in page.images] == names
        assert follower.known["a.png"] != known["a.png"]
        assert len(follower.known) == 5


async def test_what_was_read_is_not_read_after_a_restart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Notebook:
        def __init__(self) -> None:
            self.notes: dict[str, bytes] = {}

        def recall(self, what: str) -> bytes | None:
            return self.notes.get(what)

        def note(self, what: str, data: bytes) -> None:
            self.notes[what] = data

    monkeypatch.setattr(thumbprints, "UNSETTLED", 0.0)
    monkeypatch.setattr(thumbprints, "WORTH_NOTING", 1)
    book = Notebook()
    catalogue = Catalogue(folder, memory=book)
    pages = await catalogue.changes.listing()
    assert catalogue.changes._noting is not None
    await catalogue.changes._noting
    monkeypatch.setattr(Thumbprints, "take", lambda *_: 1 / 0)
    again = await Catalogue(folder, memory=book).changes.listing()
    assert [page.data for page in again] == [page.data for page in pages]


async def test_no_look_outlives_the_daemon(folder: Path) -> None:
    changes = Catalogue(folder).changes
    async with changes._looking:  # as during a look that takes long
        asking = asyncio.create_task(changes.listing())
        while not changes._looks:  # noqa: ASYNC110
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert changes._looks
        await changes.close()
        assert not changes._looks
    [page] = await changes.listing()
    assert len(page.message.images) == 3


async def test_a_folder_that_is_away_is_not_an_empty_one(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = Catalogue(folder)
    away = folder.with_name("away")
    async with following(catalogue) as follower:
        await follower.next()
        shutil.move(folder, away)
        with pytest.raises(TimeoutError):
            await follower.next()
        assert caplog.text.count("the folder of pictures cannot be read") == 1


async def test_a_part_that_cannot_be_read_is_not_a_part_that_has_gone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    put(folder / "sub" / "d.png", age=1)
    catalogue = Catalogue(folder)
    before = scan_folder(catalogue, Scan(seen={}, known={}))
    (folder / "sub").rename(tmp_path / "away")
    with monkeypatch.context() as patch:

        def lstat(path: Path) -> os.stat_result:
            if path.parent == folder / "sub":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return os.lstat(path)

        patch.setattr(Path, "lstat", lstat)
        assert scan_folder(catalogue, before).marks == before.marks
        (folder / "a.png").unlink()
        assert sorted(scan_folder(catalogue, before).known) == ["b.png", "c.png", "sub/d.png"]
    assert sorted(scan_folder(catalogue, before).known) == ["b.png", "c.png"]


async def test_a_folder_that_comes_back(folder: Path) -> None:
    catalogue = Catalogue(folder)
    away = folder.with_name("away")
    shutil.move(folder, away)
    async with following(catalogue) as follower:
        waiting = asyncio.create_task(follower.next())
        await asyncio.sleep(5 * EVERY)
        assert not waiting.done()
        shutil.move(away, folder)
        [page] = await waiting
        assert len(page.images) == 3


async def test_one_look_serves_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    real = scan_folder

    def counted(catalogue: Catalogue, before: Scan) -> Scan:
        looks.append(asyncio.get_running_loop().time())
        return real(catalogue, before)

    monkeypatch.setattr(watcher, "scan_folder", counted)
    catalogue = Catalogue(folder)
    async with following(catalogue) as one, following(catalogue) as two:
        await one.next()
        await two.next()
        assert len(looks) == 1
        await asyncio.sleep(10 * EVERY)
    assert len(looks) in (10, 11)
    await asyncio.sleep(10 * EVERY)
    assert len(looks) in (10, 11)


async def test_what_is_remembered_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_MARKS", 3)
    monkeypatch.setattr(history, "MOST_GONE", 4)
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        await follower.next()
        old = follower.mark
        for number in range(10):
            put(folder / f"{number}.png", age=100 - number)
            await follower.next()
            (folder / f"{number}.png").unlink()
            await follower.next()
        assert len(catalogue.changes._history._marks) <= 3
        assert len(catalogue.changes._history._touched) <= 3 + 4
        assert follower.known.keys() == {"a.png", "b.png", "c.png"}
        # The first state is the same as the last one, so it is known.
        assert follower.mark == old
    async with following(catalogue, "f" * 16) as stranger:
        [page] = await stranger.next()
        assert not page.changes


async def test_a_bug_while_looking_is_logged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = Catalogue(folder)
    async with following(catalogue) as follower:
        await follower.next()
        with monkeypatch.context() as patch:
            patch.setattr(watcher, "scan_folder", lambda *_: 1 / 0)
            await asyncio.sleep(3 * EVERY)
        assert "scanning the folder failed" in caplog.text
        put(folder / "new.png", age=1)
        await follower.next()
        assert "new.png" in follower.known


async def test_looks_are_nobody_s_in_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[dict[str, object]] = []

    def look(catalogue: Catalogue, before: Scan) -> Scan:
        found.append(get_contextvars())
        return scan_folder(catalogue, before)

    monkeypatch.setattr(watcher, "scan_folder", look)
    with bound_contextvars(connection="00001"):
        async with aclosing(Catalogue(folder).changes.pages(None)) as news:
            await anext(news)
    assert found == [{}]


def names(pages: tuple[Page, ...]) -> list[str]:
    return sorted(entry.name for page in pages for entry in page.message.images)
