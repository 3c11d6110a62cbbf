"""Streams that were received before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffc_client import Address
from diffc_client.storage.cache import Store, usual_folder


def address(image: str = "a.png", sender: str = "ws://station:99") -> Address:
    return Address.parse(f"{sender}/{image}")


def keep(store: Store, image: str, size: int) -> None:
    with store.open(address(image)) as kept:
        kept.append(bytes(size))


def held(store: Store, image: str) -> int:
    with store.open(address(image)) as kept:
        return kept.length


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    with Store(folder).open(address()) as kept:
        assert kept.length == 0
        kept.append(b"abc")
    with Store(folder).open(address()) as kept:
        assert kept.read() == b"abc"
        kept.append(b"def")
    with Store(folder).open(address()) as kept:
        assert kept.read() == b"abcdef"


def test_every_picture_of_every_sender_has_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    addresses = [
        address(),
        address("b.png"),
        address("sub/a.png"),
        address(sender="ws://station:98"),
        address(sender="ws://ship:99"),
        address(sender="wss://station:99"),
    ]
    for number, one in enumerate(addresses):
        with store.open(one) as kept:
            kept.append(b"%d" % number)
    for number, one in enumerate(addresses):
        with store.open(one) as kept:
            assert kept.read() == b"%d" % number
    # Whatever pictures are called, these are plain files.
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_nothing_received_nothing_left(tmp_path: Path) -> None:
    assert held(Store(tmp_path), "a.png") == 0
    assert list(tmp_path.iterdir()) == []


def test_those_not_used_for_longest_go(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=250)
    for number, image in enumerate(("a.png", "b.png", "c.png")):
        before = set(tmp_path.iterdir())
        keep(store, image, 100)
        [path] = set(tmp_path.iterdir()) - before
        os.utime(path, (number, number))
    # Used again, if only looked at.
    assert held(store, "a.png") == 100
    assert held(store, "d.png") == 0
    assert [held(store, image) for image in ("a.png", "b.png", "c.png")] == [100, 0, 100]


def test_what_is_wanted_stays(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=50)
    keep(store, "a.png", 100)
    assert held(store, "a.png") == 100
    assert held(store, "b.png") == 0
    assert held(store, "a.png") == 0


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "mine.dfc"):  # whoever names the folder may have his own there
        (tmp_path / name).write_bytes(bytes(1000))
    keep(Store(tmp_path, most_bytes=50), "a.png", 40)
    assert held(Store(tmp_path, most_bytes=50), "a.png") == 40
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "mine.dfc").exists()


def test_one_user_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.open(address()), pytest.raises(OSError, match="another process"):
        store.open(address())


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file")


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFC_CACHE", "/somewhere")
    assert usual_folder() == Path("/somewhere")
    monkeypatch.setenv("DIFFC_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert usual_folder() == Path("/caches/diffc-stream/streams")
    monkeypatch.delenv("DIFFC_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert usual_folder() == Path("/home/me/.cache/diffc-stream/streams")
