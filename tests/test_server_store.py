"""Streams that are stored: never trusted, never too many, and those of whoever came first."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
from drawer import Drawer
from hypothesis import given
from hypothesis import strategies as st

from diffc_server.cache.backend import SUFFIX, FolderBackend
from diffc_server.cache.store import Outcome, Store, Stored, open_store
from diffc_server.cache.stream_key import stream_key
from diffc_server.catalogue.file import File
from diffc_stream.errors import AddressError

KEY, OTHER = "0" * 64, "1" * 64
STREAM = bytes(range(256)) * 4


def part(length: int, data: bytes = STREAM) -> Stored:
    return Stored(data=data[:length], complete=False)


WHOLE = Stored(data=STREAM, complete=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(str(folder))


def test_what_is_saved_is_loaded(store: Store, folder: Path) -> None:
    assert store.load(KEY) is None
    for stored in (part(1), part(500), WHOLE):
        assert store.save(KEY, stored) is Outcome.STORED
        assert store.load(KEY) == stored
        assert open_store(str(folder)).load(KEY) == stored
    assert store.load(OTHER) is None


def test_a_stream_of_nothing(store: Store) -> None:
    assert store.save(KEY, part(0)) is Outcome.STORED
    assert store.load(KEY) == part(0)


def test_longer_replaces_shorter_and_never_the_other_way_round(store: Store) -> None:
    assert store.save(KEY, part(500)) is Outcome.STORED
    assert store.save(KEY, part(300)) is Outcome.STORED
    assert store.load(KEY) == part(500)
    assert store.save(KEY, Stored(data=STREAM[:500], complete=True)) is Outcome.STORED
    assert store.save(KEY, part(500)) is Outcome.STORED
    assert store.load(KEY) == Stored(data=STREAM[:500], complete=True)
    # Which ends there: whoever has more has another stream.
    assert store.save(KEY, part(600)) is Outcome.REFUSED


@pytest.mark.parametrize("length", [100, 500, 900])
def test_who_came_first_is_right(
    store: Store, caplog: pytest.LogCaptureFixture, length: int
) -> None:
    store.save(KEY, part(500))
    different = part(length, STREAM[:99] + b"!" + STREAM[100:])
    assert store.save(KEY, different) is Outcome.REFUSED
    assert store.load(KEY) == part(500)
    assert "has another stream for" in caplog.text


def test_a_bit_flipped_anywhere_is_noticed(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = part(40)
    store.save(KEY, stored)
    path = folder / f"{KEY}{SUFFIX}"
    sound = path.read_bytes()
    for place in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert store.load(KEY) is None
        assert not path.exists()
    assert caplog.text.count("damaged data") == 1
    assert store.save(KEY, stored) is Outcome.STORED
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        assert store.load(KEY) is None
    path.write_bytes(sound + b"\0")
    assert store.load(KEY) is None
    assert caplog.text.count("damaged data") == 2


def test_an_object_is_nobody_elses(store: Store, folder: Path) -> None:
    store.save(KEY, WHOLE)
    (folder / f"{KEY}{SUFFIX}").rename(folder / f"{OTHER}{SUFFIX}")
    assert store.load(OTHER) is None


def test_damaged_is_replaced_by_whatever_comes(store: Store, folder: Path) -> None:
    store.save(KEY, part(500))
    path = folder / f"{KEY}{SUFFIX}"
    path.write_bytes(path.read_bytes()[:-1])
    assert store.save(KEY, part(10)) is Outcome.STORED
    assert store.load(KEY) == part(10)


def test_what_cannot_be_continued_is_dropped_unless_it_is_another_by_now(store: Store) -> None:
    store.save(KEY, part(500))
    store.drop(KEY, part(400))
    assert store.load(KEY) == part(500)
    store.drop(KEY, part(500))
    assert store.load(KEY) is None


@given(
    most=st.integers(1000, 5000),
    writes=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 1024)), max_size=60
    ),
)
def test_a_store_never_outgrows_its_size(most: int, writes: list[tuple[int, int, int]]) -> None:
    """Whichever of its processes writes, and however often it looks."""
    drawer = Drawer()
    stores = [Store(drawer, most_bytes=most) for _ in range(3)]
    for writer, number, length in writes:
        outcome = stores[writer].save(f"{number:064}", part(length))
        assert sum(len(data) for _, data in drawer.objects.values()) <= most
        if outcome is Outcome.STORED:
            found = stores[writer].load(f"{number:064}")
            assert found is not None
            assert len(found.data) >= length


def test_what_was_not_used_for_longest_goes_first() -> None:
    store = Store(Drawer(), most_bytes=8000)
    for number in range(6):
        store.save(f"{number:064}", part(1000))
    assert store.load(f"{0:064}") == part(1000)
    store.touch(f"{2:064}")
    store.save(f"{6:064}", part(1000))
    store.save(f"{7:064}", part(1000))
    left = [number for number in range(8) if store.load(f"{number:064}") is not None]
    assert left == [0, 2, 4, 5, 6, 7]


def test_one_that_is_too_large_drives_out_nobody(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(Drawer(), most_bytes=1500)
    store.save(KEY, part(500))
    assert store.save(OTHER, part(900)) is Outcome.REFUSED
    assert "too many for the store" in caplog.text
    assert store.load(KEY) == part(500)


def test_a_full_disk_is_said_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    drawer = Drawer()
    store = Store(drawer)
    with caplog.at_level(logging.WARNING):
        store.save(KEY, part(100))
        drawer.failure = OSError(errno.ENOSPC, "No space left on device")
        for _ in range(3):
            assert store.save(KEY, part(500)) is Outcome.FAILED
            assert store.load(KEY) is None
        assert store.problem() == "the store cannot be written to: No space left on device"
        drawer.failure = None
        assert store.problem() == ""
        assert store.load(KEY) == part(100)
        for _ in range(2):
            assert store.save(KEY, part(500)) is Outcome.STORED
    assert [record.getMessage() for record in caplog.records] == [
        "the store drawer cannot be written: No space left on device",
        "the store drawer cannot be read: No space left on device",
        "the store drawer can be read again",
        "the store drawer can be written again",
    ]


def test_a_folder_that_vanishes_and_comes_back(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(KEY, part(500))
    folder.rename(folder.with_name("away"))
    assert store.load(KEY) is None
    assert store.save(KEY, WHOLE) is Outcome.FAILED
    assert not folder.exists()
    folder.with_name("away").rename(folder)
    assert store.load(KEY) == part(500)
    assert store.save(KEY, WHOLE) is Outcome.STORED
    assert caplog.text.count("No such file") == 2
    assert caplog.text.count("again") == 2


def test_a_folder_that_may_only_be_read(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(KEY, part(500))

    real = os.open

    def refuse(path: str, flags: int = os.O_RDWR, *more: int, **how: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "utime", lambda *_, **__: refuse(""))
    assert store.load(KEY) == part(500)
    assert store.save(KEY, WHOLE) is Outcome.FAILED
    # Damage cannot be removed there, and is not spoken of for every request.
    path = folder / f"{KEY}{SUFFIX}"
    path.write_bytes(b"damaged")
    for _ in range(3):
        assert store.load(KEY) is None
    assert caplog.text.count("damaged data") == 1
    assert caplog.text.count("Permission denied") == 1


@pytest.mark.parametrize("maker", ["", "0123456789abcdef"])
def test_who_made_it_is_stored_too(store: Store, maker: str) -> None:
    for complete in (False, True):
        store.save(KEY, Stored(data=STREAM, complete=complete, maker=maker))
        found = store.load(KEY)
        assert found is not None
        assert (found.data, found.complete, found.maker) == (STREAM, complete, maker)


def test_places(tmp_path: Path) -> None:
    for place in (str(tmp_path / "plain"), f"file://{tmp_path}/by-url", "memory://bucket/streams"):
        store = open_store(place)
        assert store.save(KEY, part(500)) is Outcome.STORED
        assert open_store(place).load(KEY) == part(500)
    assert (tmp_path / "plain" / f"{KEY}{SUFFIX}").exists()
    assert (tmp_path / "by-url" / f"{KEY}{SUFFIX}").exists()
    with pytest.raises(AddressError):
        open_store("nonsense://bucket")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        open_store(str(tmp_path / "file"))


def test_the_key_is_of_content_and_model(tmp_path: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    first.write_bytes(b"a picture")
    second.write_bytes(b"a picture")
    assert stream_key(File.at(first), "0f0f0f0f") == stream_key(File.at(second), "0f0f0f0f")
    assert stream_key(File.at(first), "0f0f0f0f") != stream_key(File.at(first), "0e0e0e0e")
    second.write_bytes(b"another one")
    assert stream_key(File.at(first), "0f0f0f0f") != stream_key(File.at(second), "0f0f0f0f")
    assert len(stream_key(File.at(first), "0f0f0f0f")) == 64


def test_notes_are_replaced_and_checked(tmp_path: Path) -> None:
    store = Store(FolderBackend(tmp_path))
    assert store.recall("a") is None
    for data in (b"one", b"two", b""):
        store.note("a", data)
        assert store.recall("a") == data
    store.note("b", b"other")
    [name] = [path for path in tmp_path.iterdir() if b"other" in path.read_bytes()]
    name.write_bytes(name.read_bytes() + b"!")
    assert store.recall("b") is None
    assert store.recall("a") == b""
    small = Store(FolderBackend(tmp_path), most_bytes=100)
    small.note("a", bytes(1000))
    assert small.recall("a") == b""


def test_notes_that_cannot_be_kept_are_no_error(caplog: pytest.LogCaptureFixture) -> None:
    drawer = Drawer()
    store = Store(drawer)
    drawer.failure = OSError(errno.ENOSPC, "No space left on device")
    store.note("a", b"1")
    assert store.recall("a") is None
    assert "No space left" in caplog.text
