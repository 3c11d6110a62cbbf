from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from diffc_benchmarks import pictures as module
from diffc_benchmarks.pictures import commit, cores, machine, pictures
from diffc_stream.errors import UnreadablePicture


def test_every_nth_by_name(tmp_path: Path) -> None:
    for name in ("c.png", "a.JPG", "b.webp", "notes.txt", "d.tif"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures(tmp_path)] == ["a.JPG", "b.webp", "c.png", "d.tif"]
    assert [path.name for path in pictures(tmp_path, every=3)] == ["a.JPG", "d.tif"]


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match="no pictures"):
        pictures(tmp_path)
    with pytest.raises(UnreadablePicture, match="not a folder"):
        pictures(tmp_path / "missing")


def test_a_folder_of_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PICTURES", 1)
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(UnreadablePicture, match="2 pictures, more than 1"):
        pictures(tmp_path)
    assert len(pictures(tmp_path, every=2)) == 1


def test_where_figures_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine().endswith(f"{cores()} cores")
    assert commit()

    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert commit() == "unknown"
