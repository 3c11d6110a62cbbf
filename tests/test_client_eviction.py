"""Old files make way for new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffc_client.storage.eviction import evict


def fill(folder: Path) -> list[Path]:
    """Make four files of 100 bytes, the first of them the oldest, and one that is none of ours."""
    paths = [folder / f"{name}.dfc" for name in "dbca"]
    for age, path in enumerate([*paths, folder / "other.txt"]):
        path.write_bytes(bytes(100))
        os.utime(path, ns=(age, age))
    return paths


@pytest.mark.parametrize("most", [0, 99, 100, 250, 399, 400])
def test_the_oldest_go_first(tmp_path: Path, most: int) -> None:
    paths = fill(tmp_path)
    evict(tmp_path, "*.dfc", most, spare=tmp_path / "none.dfc")
    kept = most // 100
    assert [path for path in paths if path.exists()] == paths[len(paths) - kept :]
    assert (tmp_path / "other.txt").exists()


def test_one_is_spared(tmp_path: Path) -> None:
    paths = fill(tmp_path)
    evict(tmp_path, "*.dfc", 150, spare=paths[0])
    assert [path for path in paths if path.exists()] == [paths[0]]


def test_files_may_vanish_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = fill(tmp_path)

    def glob(_folder: Path, _pattern: str) -> Iterator[Path]:
        yield from [*paths, tmp_path / "gone.dfc"]

    monkeypatch.setattr(Path, "glob", glob)
    evict(tmp_path, "*.dfc", 100, spare=paths[0])
    assert paths[0].exists()
