from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from diffc_benchmarks import kept as module
from diffc_benchmarks.kept import kept


def counter() -> Callable[[], object]:
    calls: list[None] = []

    def compute() -> object:
        calls.append(None)
        return {"calls": len(calls)}

    return compute


def test_computed_once(tmp_path: Path) -> None:
    compute, path = counter(), tmp_path / "deep" / "result.json"
    assert kept(path, ("a", 1), compute) == {"calls": 1}
    assert kept(path, ("a", 1), compute) == {"calls": 1}


def test_computed_again_for_something_else(tmp_path: Path) -> None:
    compute, path = counter(), tmp_path / "result.json"
    kept(path, ("a", 1), compute)
    assert kept(path, ("a", 2), compute) == {"calls": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("found", [b"", b"[]", b"{}", b'{"key": 1', b"\xff"])
def test_damaged_files_are_computed_again(tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(found)
    assert kept(path, "a", counter()) == {"calls": 1}


def test_files_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute, path = counter(), tmp_path / "result.json"
    kept(path, "a", compute)
    monkeypatch.setattr(module, "MOST_BYTES", 5)
    assert kept(path, "a", compute) == {"calls": 2}
