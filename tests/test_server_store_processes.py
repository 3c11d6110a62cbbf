"""Streams that are stored by several processes, some of which are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from diffc_server.cache.backend import FolderBackend
from diffc_server.cache.store import Outcome, Store, Stored, open_store

KEY, OTHER = "0" * 64, "1" * 64
STREAM = bytes(range(256)) * 4


def part(length: int, data: bytes = STREAM) -> Stored:
    return Stored(data=data[:length], complete=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(str(folder))


WRITER = """
import random, sys
from diffc_server.cache.store import Stored, open_store
place, salt = sys.argv[1], int(sys.argv[2])
store = open_store(place, most_bytes=int(sys.argv[3]))
chance = random.Random(salt)
print("ready", flush=True)
while sys.stdin.readline():
    for _ in range(10):
        number = chance.randrange(4)
        data = bytes([number, salt]) * 2000
        length = chance.randrange(1, len(data))
        store.save(f"{number:064}", Stored(data=data[:length], complete=False))
    print("saved", flush=True)
"""


@pytest.mark.parametrize("most_bytes", [12_000, 1_000_000])
def test_processes_share_it(folder: Path, most_bytes: int) -> None:
    """Two that disagree write at the same time: what was there first only grows, if it may."""
    store = open_store(str(folder), most_bytes=most_bytes)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(salt), str(most_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for salt in (0, 2)
    ]
    try:
        found: dict[int, bytes] = {}
        for _ in range(3):
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline()
                assert writer.stdin is not None
                writer.stdin.write("\n")
                writer.stdin.flush()
            for number in range(4):
                stored = store.load(f"{number:064}")
                if stored is not None:
                    assert len(set(zip(stored.data[::2], stored.data[1::2], strict=False))) <= 1
                    before = found.get(number, b"")
                    assert stored.data.startswith(before) or most_bytes < 20_000
                    found[number] = stored.data
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "saved\n"
        backend = FolderBackend(folder)
        with backend.locked():
            assert 0 < sum(entry.size for entry in backend.entries()) <= most_bytes
        assert not list(folder.glob(".*.part"))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_a_process_killed_at_any_moment_leaves_nothing_wrong(folder: Path) -> None:
    script = WRITER.replace("while sys.stdin.readline():", "while True:")
    chance = random.Random(0)
    store = open_store(str(folder))
    sound = {bytes([number, 0]) * 2000 for number in range(4)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder), "0", "1000000"],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for _ in range(chance.randrange(2, 20)):
            assert writer.stdout.readline()
        writer.kill()
    for number in range(4):
        stored = store.load(f"{number:064}")
        if stored is not None:
            assert any(whole.startswith(stored.data) for whole in sound)
    assert store.save(OTHER, part(100)) is Outcome.STORED
    assert not list(folder.glob(".*.part"))
