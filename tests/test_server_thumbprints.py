"""What stands for the contents of files: all of them, and read no oftener than needed."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from diffc_server.catalogue import thumbprints
from diffc_server.catalogue.scan import Version
from diffc_server.catalogue.thumbprints import WHOLE, Memory, Thumbprints

BLOCK = thumbprints._BLOCK


class Notebook:
    """A memory that lasts as long as the test."""

    def __init__(self) -> None:
        self.notes: dict[str, bytes] = {}

    def recall(self, what: str) -> bytes | None:
        """Return what was noted."""
        return self.notes.get(what)

    def note(self, what: str, data: bytes) -> None:
        """Note it."""
        self.notes[what] = data


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are taken to be at rest at once."""
    monkeypatch.setattr(thumbprints, "UNSETTLED", 0.0)


def taken(path: Path, memory: Memory | None = None) -> str:
    version = Version.of(path.stat())
    return Thumbprints(path.parent, memory).take(path.name, path, version)


def thumbprint(folder: Path, contents: bytes) -> str:
    """Return the thumbprint of a picture that holds this."""
    folder.mkdir(exist_ok=True)
    (folder / "x.png").write_bytes(contents)
    return taken(folder / "x.png")


@pytest.mark.parametrize("size", [1, 3, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_whatever_changes_in_a_file_tells(tmp_path: Path, size: int) -> None:
    contents = bytes(size)
    changed = {thumbprint(tmp_path, contents), thumbprint(tmp_path, contents + b"\0")}
    changed.add(thumbprint(tmp_path, contents[:-1]))
    places = {0, size // 3, size // 2, 2 * size // 3, size - 1}
    for place in places:
        other = bytearray(contents)
        other[place] = 1
        changed.add(thumbprint(tmp_path, bytes(other)))
    assert len(changed) == 3 + len(places)
    # It is of the contents alone.
    assert thumbprint(tmp_path / "y", contents) == thumbprint(tmp_path / "z", contents)


def test_a_change_tells_though_size_and_time_are_put_back(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(bytes(5 * BLOCK))
    before = path.stat()
    known = Thumbprints(tmp_path)
    first = known.take("a.bmp", path, Version.of(before))
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # as coarse as the system's clock
        with path.open("r+b") as file:
            file.seek(2 * BLOCK)
            file.write(b"!")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    version = Version.of(path.stat())
    assert (version.size, version.time, version.inode) == Version.of(before)[:3]
    assert known.known("a.bmp", Version.of(before)) == first
    assert known.known("a.bmp", version) is None
    assert known.take("a.bmp", path, version) != first


def test_what_was_read_right_after_a_change_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbprints, "UNSETTLED", 1e9)
    path = tmp_path / "a.bmp"
    path.write_bytes(b"1")
    known, version = Thumbprints(tmp_path), Version.of(path.stat())
    known.take("a.bmp", path, version)
    assert not known.settled("a.bmp")
    assert known.known("a.bmp", version) is None
    monkeypatch.setattr(thumbprints, "UNSETTLED", 0.0)
    again = known.take("a.bmp", path, version)
    assert known.settled("a.bmp")
    assert known.known("a.bmp", version) == again


def test_a_file_that_has_changed_meanwhile_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(b"1")
    version = Version.of(path.stat())
    path.write_bytes(b"22")
    with pytest.raises(FileNotFoundError, match="replaced"):
        Thumbprints(tmp_path).take("a.bmp", path, version)


def test_of_a_huge_file_both_ends_and_the_times_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbprints, "WHOLE", 8)
    path = tmp_path / "a.tif"
    path.write_bytes(b"1234....5678")
    version = Version.of(path.stat())
    first = Thumbprints(tmp_path).take("a.tif", path, version)
    assert Thumbprints(tmp_path).take("a.tif", path, version) == first
    os.utime(path, ns=(1, 1))
    assert taken(path) != first
    for contents in (b"x234....5678", b"1234....567x"):
        path.write_bytes(contents)
        os.utime(path, ns=(version.time, version.time))
        assert taken(path) != first
    assert WHOLE == 2**30


def test_notes_outlive_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbprints, "WORTH_NOTING", 4)
    path, book = tmp_path / "a.png", Notebook()
    path.write_bytes(b"12")
    version = Version.of(path.stat())
    first = Thumbprints(tmp_path, book)
    print_of = first.take("a.png", path, version)
    assert first.notes() is None  # not worth it
    first.take("b.png", path, version)
    notes = first.notes()
    assert notes is not None
    assert first.notes() is None
    notes()
    second = Thumbprints(tmp_path, book)
    assert second.known("a.png", version) is None
    second.recall()
    assert second.known("a.png", version) == print_of
    assert second.known("a.png", version._replace(changed=version.changed + 1)) is None
    other = Thumbprints(tmp_path / "other", book)
    other.recall()
    assert len(other) == 0
    second.keep({"b.png": version})
    assert len(second) == 1
    Thumbprints(tmp_path).recall()  # without a memory there is nothing to be known


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"nonsense", zlib.compress(b"[1"), zlib.compress(b"[2, {}]")),
        *(zlib.compress(b"{}"), zlib.compress(b"[1, []]"), zlib.compress(b'[1, {"a": 1}]')),
        zlib.compress(b'[1, {"a": [1, 2, 3, 4, 5, "' + b"0" * 16 + b'"]}]'),
        zlib.compress(b'[1, {"a": [1, 2, 3, 4, "' + b"0" * 15 + b'g"]}]'),
        zlib.compress(b'[1, {"a": [1, 2, 3, "4", "' + b"0" * 16 + b'"]}]'),
        zlib.compress(b"[" * 100_000),
    ],
)
def test_notes_of_no_use_are_none(tmp_path: Path, data: bytes) -> None:
    book = Notebook()
    known = Thumbprints(tmp_path, book)
    book.notes = dict.fromkeys([known._what], data)
    known.recall()
    assert len(known) == 0
