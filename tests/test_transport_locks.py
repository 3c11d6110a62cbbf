"""Locks that other processes see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffc_stream.transport import locks


def test_one_at_a_time(tmp_path: Path) -> None:
    # Another descriptor of the same file is as good as another process.
    for path in (tmp_path / "a", tmp_path):
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
        first, second = os.open(path, flags), os.open(path, flags)
        assert locks.try_lock(first)
        assert locks.try_lock(first)
        assert not locks.try_lock(second)
        os.close(first)
        assert locks.try_lock(second)
        os.close(second)


def test_where_there_are_none_everybody_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SUPPORTED", False)
    assert locks.try_lock(-1)


def test_a_file_system_without_locks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OSError, match="No locks"):
        locks.try_lock(0)
