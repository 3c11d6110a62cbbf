"""What changes in a folder, as those see it who only ask now and then."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest
from following import following, put

from diffc_server import Catalogue
from diffc_server.catalogue import watcher
from diffc_server.catalogue.scan import Scan, scan_folder
from diffc_server.catalogue.watcher import SHARE
from diffc_stream.session import Entry
from diffc_stream.session.paging import Page

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "served"
    home.mkdir()
    for age, name in enumerate(("c.png", "a.png", "b.png")):
        put(home / name, age=1000 - age)
    return home


async def test_who_only_asks_gets_what_is_there_now(folder: Path) -> None:
    catalogue = Catalogue(folder)
    assert names(await catalogue.changes.listing()) == ["a.png", "b.png", "c.png"]
    # Whether it rests or not.
    put(folder / "new.png")
    assert names(await catalogue.changes.listing()) == ["a.png", "b.png", "c.png", "new.png"]
    put(folder / "new.png", b"another")
    (folder / "a.png").unlink()
    pages = await catalogue.changes.listing()
    assert names(pages) == ["b.png", "c.png", "new.png"]
    assert sorted(pages[0].message.images, key=by_name) == list(catalogue.entries())
    assert not pages[0].message.changes
    assert pages[0].message.mark is None
    # Those who follow it are told when it rests, as ever.
    async with following(catalogue) as follower:
        await follower.next()
        put(folder / "newer.png")
        assert "newer.png" in names(await catalogue.changes.listing())
        await follower.next()
        assert "newer.png" in follower.known


async def test_many_who_ask_share_looks_and_pages(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(120):
        put(folder / f"{number:03}.png", age=500 - number)
    looks: list[float] = []
    real, clock = scan_folder, asyncio.get_running_loop()
    under_way = 0

    def slow(catalogue: Catalogue, before: Scan) -> Scan:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        looks.append(clock.time())
        clock._ticking.now += 0.5  # type: ignore[attr-defined]
        found = real(catalogue, before)
        under_way -= 1
        return found

    monkeypatch.setattr(watcher, "scan_folder", slow)
    catalogue = Catalogue(folder)
    first, *others = await asyncio.gather(*(catalogue.changes.listing() for _ in range(100)))
    assert len(looks) == 1
    assert len(first) == 3
    assert all(one is first for one in others)
    data = [page.data for page in first]
    # However often they ask, one look is taken at a time, and there is a rest after it.
    for _ in range(5):
        began = clock.time()
        again = await asyncio.gather(*(catalogue.changes.listing() for _ in range(20)))
        assert all(one is first for one in again)
        # Nobody waits for as long as the rest may be, but is told what was found last.
        assert clock.time() - began <= watcher.PATIENCE + 0.5
        await asyncio.sleep(0.5 + SHARE * 0.5)
    assert all(page.data is held for page, held in zip(first, data, strict=True))
    assert len(looks) == 5
    rests = [after - before for before, after in itertools.pairwise(looks)]
    assert min(rests) >= 0.5 + SHARE * 0.5
    # Followers of the same version share theirs.
    async with (
        aclosing(catalogue.changes.pages(None)) as one,
        aclosing(catalogue.changes.pages(None)) as two,
    ):
        assert all(a is b for a, b in zip(await anext(one), await anext(two), strict=True))
        put(folder / "new.png", age=1)
        assert all(a is b for a, b in zip(await anext(one), await anext(two), strict=True))


async def test_a_look_that_takes_long_is_of_use_to_who_asks_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = asyncio.get_running_loop()

    def slow(catalogue: Catalogue, before: Scan) -> Scan:
        clock._ticking.now += 9.0  # type: ignore[attr-defined]
        return scan_folder(catalogue, before)

    catalogue = Catalogue(folder)
    assert len(names(await catalogue.changes.listing())) == 3
    monkeypatch.setattr(watcher, "scan_folder", slow)
    await catalogue.changes.listing()
    put(folder / "new.png")
    assert len(names(await catalogue.changes.listing())) == 3
    await asyncio.sleep(9.0 + SHARE * 9.0)
    assert len(names(await catalogue.changes.listing())) == 4


async def test_who_asks_while_the_folder_is_away(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue, away = Catalogue(folder), folder.with_name("away")
    shutil.move(folder, away)
    [page] = await catalogue.changes.listing()
    assert (page.message.images, page.message.last) == ((), True)
    shutil.move(away, folder)
    pages = await catalogue.changes.listing()
    assert len(names(pages)) == 3
    shutil.move(folder, away)
    assert await catalogue.changes.listing() is pages
    await catalogue.changes.listing()
    assert caplog.text.count("the folder of pictures cannot be read") == 2


async def test_who_asks_and_leaves_takes_nothing_from_others(folder: Path) -> None:
    catalogue = Catalogue(folder)
    asking = [asyncio.create_task(catalogue.changes.listing()) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert [names(pages) for pages in await asyncio.gather(*asking[1:])] == [
        ["a.png", "b.png", "c.png"]
    ] * 2


def by_name(entry: Entry) -> str:
    return entry.name


def names(pages: tuple[Page, ...]) -> list[str]:
    return sorted(entry.name for page in pages for entry in page.message.images)
