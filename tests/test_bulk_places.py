"""Whatever lies in a place is found, or said to be unusable."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from diffc_stream.bulk import places as module
from diffc_stream.bulk.places import Folder, Place, place


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "dark" / "in").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    for name in ("good.png", "sub/old.dfc", "dark/in/lost.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.fixture(params=["folder", "url"])
def where(request: pytest.FixtureRequest, source: Path) -> Place:
    if request.param == "url":
        pytest.importorskip("fsspec")
        return place(f"file://{source}")
    return place(str(source))


def found(where: Place) -> dict[str, str]:
    return {one.name: one.wrong for one in where.files()}


def unreadable(monkeypatch: pytest.MonkeyPatch, error: OSError, *folders: Path) -> None:
    """Have the folders refuse to be listed, which root would be allowed to do."""
    scandir = os.scandir

    def scan(path: Any = ".") -> Any:
        if Path(os.fspath(path)) in folders:
            raise error
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)


def test_names_are_told_as_they_are(where: Place) -> None:
    assert found(where) == {"good.png": "", "sub/old.dfc": "", "dark/in/lost.png": ""}


@pytest.mark.skipif(sys.platform == "win32", reason="has no such names")
def test_names_that_receivers_do_not_take_are_said(where: Place, source: Path) -> None:
    for name in ("IMG\\1.png", "two\u2028lines.png", "sub/\x1b[31m.png", "IMG\\1.txt"):
        (source / name).write_bytes(b"x")
    (source / "back\\slash").mkdir()
    (source / "back\\slash" / "of.png").write_bytes(b"x")
    wrong = {name: said for name, said in found(where).items() if said}
    assert sorted(wrong) == [
        "IMG\\1.png",
        "back\\slash/of.png",
        "sub/\\x1b[31m.png",
        "two\\u2028lines.png",
    ]
    assert all(said.startswith("its name ") for said in wrong.values())


@pytest.mark.skipif(sys.platform != "linux", reason="has no such names")
def test_names_that_are_no_text_are_said(source: Path) -> None:
    (source / os.fsdecode(b"\xe9t\xe9.png")).write_bytes(b"x")
    [name] = [name for name, wrong in found(Folder(source)).items() if wrong]
    assert name == "\\udce9t\\udce9.png"


def test_a_folder_that_cannot_be_read_is_said_and_passed_over(
    where: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = PermissionError(errno.EACCES, "Permission denied")
    unreadable(monkeypatch, refused, source / "dark")
    told = {"good.png": "", "sub/old.dfc": "", "dark/": "Permission denied"}
    assert found(where) == told


def test_a_folder_that_has_gone_meanwhile_has_no_pictures(
    where: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable(monkeypatch, FileNotFoundError(errno.ENOENT, "gone"), source / "dark" / "in")
    assert found(where) == {"good.png": "", "sub/old.dfc": ""}


@pytest.mark.parametrize(("number", "below"), [(errno.EIO, "dark"), (errno.EACCES, "")])
def test_a_disk_that_does_not_answer_is_no_matter_of_one_folder(
    where: Place, source: Path, monkeypatch: pytest.MonkeyPatch, number: int, below: str
) -> None:
    unreadable(monkeypatch, OSError(number, "no"), source / below)
    with pytest.raises(OSError, match="no"):
        found(where)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_that_lead_nowhere(source: Path) -> None:
    (source / "gone.png").symlink_to(source / "none.png")
    (source / "round.png").symlink_to(source / "round.png")
    assert found(Folder(source)).keys() - {"round.png"} == {
        *("good.png", "sub/old.dfc", "dark/in/lost.png"),
    }
    assert found(Folder(source))["round.png"]


def test_a_file_that_vanishes_while_it_is_looked_at(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = module._found

    def vanish(name: str, entry: os.DirEntry[str]) -> object:
        if name == "good.png":
            raise FileNotFoundError(errno.ENOENT, "gone")
        return look(name, entry)

    monkeypatch.setattr(module, "_found", vanish)
    assert "good.png" not in found(Folder(source))
