"""Pictures of a folder follow each other by time and name, from one key picture to the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffc_server import Catalogue
from diffc_server.catalogue import cameras
from diffc_server.catalogue.cameras import Cameras
from diffc_server.catalogue.file import File
from diffc_stream.errors import RequestRefused
from diffc_stream.opening import Identity
from diffc_stream.succession import LONGEST

HOUR = 3600
START = 400_000 * HOUR


def take(folder: Path, *pictures: tuple[str, int]) -> None:
    """Write pictures that were taken so many seconds after START."""
    folder.mkdir(exist_ok=True)
    for name, seconds in pictures:
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (START + seconds,) * 2)


def before(known: Cameras, path: Path) -> list[str]:
    return [one.path.name for one in known.before(File.at(path))]


def test_by_time_and_then_by_name(tmp_path: Path) -> None:
    take(tmp_path, ("b.png", 20), ("c.jpg", 10), ("a.png", 20), ("d.png", 30))
    take(tmp_path, (".hidden.png", 25), ("ready.dfc", 25), ("notes.txt", 25))
    take(tmp_path / "sub.png", ("e.png", 25))
    (tmp_path / "link.png").symlink_to("a.png")
    known = Cameras()
    assert before(known, tmp_path / "c.jpg") == []
    assert before(known, tmp_path / "a.png") == ["c.jpg"]
    assert before(known, tmp_path / "b.png") == ["c.jpg", "a.png"]
    assert before(known, tmp_path / "d.png") == ["c.jpg", "a.png", "b.png"]
    assert before(known, tmp_path / "sub.png" / "e.png") == []
    assert before(known, tmp_path / "notes.txt") == []
    assert before(known, tmp_path / "ready.dfc") == []


def test_each_period_of_the_clock_begins_anew(tmp_path: Path) -> None:
    take(tmp_path, ("a.png", HOUR - 20), ("b.png", HOUR - 10), ("c.png", HOUR), ("d.png", HOUR + 1))
    assert before(Cameras(), tmp_path / "b.png") == ["a.png"]
    assert before(Cameras(), tmp_path / "c.png") == []
    assert before(Cameras(), tmp_path / "d.png") == ["c.png"]
    assert before(Cameras(key_every=0.5), tmp_path / "d.png") == []
    assert before(Cameras(key_every=1e9), tmp_path / "d.png") == ["a.png", "b.png", "c.png"]


def test_a_chain_has_an_end(tmp_path: Path) -> None:
    take(tmp_path, *((f"{number:03}.png", number) for number in range(LONGEST + 2)))
    known = Cameras()
    assert len(before(known, tmp_path / f"{LONGEST - 1:03}.png")) == LONGEST - 1
    assert before(known, tmp_path / f"{LONGEST:03}.png") == []
    assert before(known, tmp_path / f"{LONGEST + 1:03}.png") == [f"{LONGEST:03}.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["a\n.png", "a\\b.png", f"{'a' * 248}.png"])
def test_names_that_no_stream_can_say(tmp_path: Path, name: str) -> None:
    take(tmp_path, (name, 0), ("b.png", 10))
    assert before(Cameras(), tmp_path / "b.png") == []


def test_what_changes_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(tmp_path, ("a.png", 0), ("c.png", 20))
    os.utime(tmp_path, (START, START))
    known = Cameras()
    assert before(known, tmp_path / "c.png") == ["a.png"]
    looked: list[Path] = []
    order = cameras._Order

    def look(folder: Path, period: int) -> cameras._Order:
        looked.append(folder)
        return order(folder, period)

    monkeypatch.setattr(cameras, "_Order", look)
    assert before(known, tmp_path / "c.png") == ["a.png"]
    assert looked == []  # the order is remembered
    take(tmp_path, ("b.png", 10))
    assert before(known, tmp_path / "c.png") == ["a.png", "b.png"]
    take(tmp_path, ("c.png", 5))
    assert before(known, tmp_path / "c.png") == ["a.png"]
    (tmp_path / "a.png").unlink()
    assert before(known, tmp_path / "c.png") == []


def test_pictures_that_are_replaced_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(tmp_path, ("a.png", 0), ("b.png", 10))
    os.utime(tmp_path, (START, START))
    known, newest = Cameras(), File.at(tmp_path / "b.png")
    with monkeypatch.context() as patch:
        patch.setattr(cameras._Order, "before", lambda *_: (newest._replace(path=tmp_path / "a"),))
        with pytest.raises(RequestRefused, match="being replaced") as refused:
            known.before(newest)
        assert refused.value.retry
        patch.setattr(Identity, "at", lambda _: (_ for _ in ()).throw(OSError(5, "disk")))
        with pytest.raises(RequestRefused) as refused:
            known.before(newest)
        assert refused.value.retry
    assert len(known.before(newest)) == 1


def test_only_so_many_folders_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras, "MOST_FOLDERS", 2)
    known = Cameras()
    for number in range(4):
        take(tmp_path / str(number), ("a.png", 0), ("b.png", 10))
        assert before(known, tmp_path / str(number) / "b.png") == ["a.png"]
    assert len(known._orders) == 2


def test_a_catalogue_follows_names_not_links(tmp_path: Path) -> None:
    take(tmp_path / "gate", ("a.png", 0), ("b.png", 10))
    (tmp_path / "newest.png").symlink_to(tmp_path / "gate" / "b.png")
    served = Catalogue(tmp_path, cameras=Cameras())
    names = {name: served.before(name, served.file(name)) for name in ("gate/b.png", "newest.png")}
    assert [one.path.name for one in names["gate/b.png"]] == ["a.png"]
    assert names["newest.png"] == ()
    plain = Catalogue(tmp_path)
    assert plain.before("gate/b.png", plain.file("gate/b.png")) == ()


def test_of_streams_that_are_files_no_folder_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(tmp_path, ("a.png", 10), ("b.png", 20), ("ready.dfc", 30), ("Ready.DFC", 30))
    catalogue = Catalogue(tmp_path, cameras=Cameras())
    asked: list[str] = []
    before_ = Cameras.before

    def noted(self: Cameras, file: File) -> tuple[File, ...]:
        asked.append(file.path.name)
        return before_(self, file)

    monkeypatch.setattr(Cameras, "before", noted)
    for name in ("ready.dfc", "Ready.DFC"):
        assert catalogue.before(name, catalogue.file(name)) == ()
    assert [one.path.name for one in catalogue.before("b.png", catalogue.file("b.png"))] == [
        "a.png"
    ]
    assert asked == ["b.png"]
