"""Streams that grow beside others' files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import stream_of

from diffc_client.mirror import growing_file as module
from diffc_client.mirror.growing_file import GrowingStream
from diffc_client.mirror.owned_folder import Full, Occupied, OwnedFolder, Proof
from diffc_client.mirror.paths import BLOCK, Places
from diffc_client.storage.partial_stream import FileStream
from diffc_stream.session import PrefixHash

DATA = stream_of("a", 3000)


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[OwnedFolder]:
    owned = OwnedFolder(Places(tmp_path), most_bytes=10 * BLOCK)
    yield owned
    owned.close()


def names(home: Path) -> list[str]:
    found = (str(path.relative_to(home)) for path in home.rglob("*"))
    return sorted(name for name in found if not name.startswith(".diffc-written-"))


def test_there_is_nothing_before_there_are_bytes(tmp_path: Path, owned: OwnedFolder) -> None:
    with GrowingStream(owned, "sub/deep/a") as kept:
        assert (kept.length, kept.prefix, kept.header, kept.read()) == (0, None, None, b"")
        kept.restart()
        kept.append(b"")
        assert names(tmp_path) == []
        kept.append(DATA[:1000])
        assert names(tmp_path) == ["sub", "sub/deep", "sub/deep/a"]
        kept.append(DATA[1000:2000])
    with GrowingStream(owned, "sub/deep/a") as kept:
        assert (kept.length, kept.read()) == (2000, DATA[:2000])
        assert kept.prefix == str(PrefixHash(DATA[:2000]))
        assert kept.header is not None
        with pytest.raises(OSError, match="another process is writing"):
            GrowingStream(owned, "sub/deep/a")
        with pytest.raises(OSError, match="another process is writing"):
            FileStream(tmp_path / "sub" / "deep" / "a")
        kept.restart()
        kept.append(b"anew")
    assert (tmp_path / "sub" / "deep" / "a").read_bytes() == b"anew"
    with GrowingStream(owned, "sub/deep/a") as kept:
        kept.restart()
    assert names(tmp_path) == []


def test_a_file_is_made_before_there_are_bytes_if_that_is_wanted(
    tmp_path: Path, owned: OwnedFolder
) -> None:
    with GrowingStream(owned, "sub/a") as kept:
        kept.prepare()
        assert names(tmp_path) == ["sub", "sub/a"]
        assert (kept.length, kept.prefix, kept.header, kept.read()) == (0, None, None, b"")
    assert names(tmp_path) == []
    with GrowingStream(owned, "sub/a") as kept:
        kept.prepare()
        kept.append(DATA[:1000])
    with GrowingStream(owned, "sub/a") as kept:
        kept.prepare()
        assert kept.read() == DATA[:1000]


@pytest.mark.parametrize("data", [b"", b"mine", DATA[:500], DATA])
def test_what_is_there_is_somebodys(tmp_path: Path, owned: OwnedFolder, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(Occupied, match="it is kept"):
        GrowingStream(owned, "a")
    assert (tmp_path / "a").read_bytes() == data


@pytest.mark.parametrize("how", ["append", "change", "cut", "replace", "same", "link", "name"])
def test_what_is_changed_while_it_comes_is_somebodys(
    tmp_path: Path, owned: OwnedFolder, how: str
) -> None:
    path = tmp_path / "a"
    with GrowingStream(owned, "a") as kept:
        kept.append(DATA[:1000])
        before = path.stat()
        if how == "append":
            path.write_bytes(DATA[:1000] + b"mine")
        elif how == "change":
            path.write_bytes(b"!" + DATA[1:1000])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif how == "cut":
            os.truncate(path, 500)
        elif how == "name":  # it is appended to what somebody else has under another name
            os.link(path, tmp_path / "other")
        else:
            path.unlink()
            if how == "link":
                (tmp_path / "target").write_bytes(DATA[:1000])
                path.symlink_to(tmp_path / "target")
            else:
                path.write_bytes(DATA[:1000] if how == "same" else b"mine")
        held = path.read_bytes()
        with pytest.raises(Occupied):
            kept.append(DATA[1000:])
        with pytest.raises(Occupied):
            kept.restart()
    assert path.read_bytes() == held
    assert not owned.remove("a")
    assert path.read_bytes() == held


def test_what_is_merely_touched_goes_on(tmp_path: Path, owned: OwnedFolder) -> None:
    with GrowingStream(owned, "a") as kept:
        kept.append(DATA[:1000])
        os.utime(tmp_path / "a", (1, 1))
        kept.append(DATA[1000:])
        (tmp_path / "a").unlink()
        with pytest.raises(OSError, match="has disappeared"):
            kept.append(b"more")
    with GrowingStream(owned, "a") as kept:
        kept.append(b"anew")
    assert (tmp_path / "a").read_bytes() == b"anew"


def test_no_more_than_allowed(tmp_path: Path, owned: OwnedFolder) -> None:
    with GrowingStream(owned, "sub/a") as kept:
        kept.append(bytes(8 * BLOCK))
        with pytest.raises(Full):
            kept.append(bytes(2 * BLOCK))
        assert kept.length == 8 * BLOCK
    with GrowingStream(owned, "more/b") as kept, pytest.raises(Full):
        kept.append(b"x")
    assert names(tmp_path) == ["sub", "sub/a"]


def test_a_disk_that_is_full_takes_nothing_and_no_half(
    tmp_path: Path, owned: OwnedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with GrowingStream(owned, "a") as kept:
        kept.append(DATA[:1000])
        for _ in range(3):
            with monkeypatch.context() as patch:
                patch.setattr(module, "write_all", full)
                with pytest.raises(OSError, match="No space"):
                    kept.append(DATA[1000:])
                with GrowingStream(owned, "sub/b") as other, pytest.raises(OSError):  # noqa: PT011
                    other.append(b"xy")
            assert names(tmp_path) == ["a"]
            assert (tmp_path / "a").read_bytes() == DATA[:1000]
    # Whoever is started now still knows it for its own.
    again = OwnedFolder(Places(tmp_path))
    with GrowingStream(again, "a") as kept:
        kept.append(DATA[1000:])
    assert (tmp_path / "a").read_bytes() == DATA
    again.close()


def test_what_a_killed_process_wrote_is_known(tmp_path: Path, owned: OwnedFolder) -> None:
    kept = GrowingStream(owned, "a")
    kept.append(DATA[:1000])
    kept.append(DATA[1000:2000])
    kept.close()
    # As if it had been killed before the last bytes were written, or before they were noted.
    os.truncate(tmp_path / "a", 1000)
    again = OwnedFolder(Places(tmp_path))
    assert again.prove("a") is Proof.OURS
    os.truncate(tmp_path / "a", 999)
    assert again.prove("a") is Proof.FOREIGN
    again.close()


@pytest.mark.parametrize("piece", [1, 300, 2999, 3000])
def test_one_of_an_earlier_version_is_ours_when_it_proves_to_be(
    tmp_path: Path, owned: OwnedFolder, piece: int
) -> None:
    (tmp_path / "a").write_bytes(DATA[:2000])
    owned.adopt("a", length=None)
    assert owned.prove("a") is Proof.UNPROVEN
    assert not owned.remove("a")
    with GrowingStream(owned, "a") as kept:
        assert (kept.length, kept.doubtful, kept.prefix) == (0, 2000, None)
        assert kept.header is not None
        for start in range(0, 3000, piece):
            kept.append(DATA[start : start + piece])
            assert (tmp_path / "a").read_bytes().startswith(DATA[:2000])
    assert (tmp_path / "a").read_bytes() == DATA
    assert owned.prove("a") is Proof.OURS


def test_one_that_does_not_is_somebodys(tmp_path: Path, owned: OwnedFolder) -> None:
    mine = DATA[:1999] + b"!"
    (tmp_path / "a").write_bytes(mine)
    owned.adopt("a", length=None)
    for _ in range(2):
        with GrowingStream(owned, "a") as kept:
            kept.append(DATA[:1900])
            with pytest.raises(Occupied):
                kept.append(DATA[1900:])
            with pytest.raises(Occupied):
                kept.restart()
    assert (tmp_path / "a").read_bytes() == mine


def test_one_whose_length_was_noted_is_ours_when_the_sender_agrees(
    tmp_path: Path, owned: OwnedFolder
) -> None:
    (tmp_path / "a").write_bytes(DATA[:2000])
    (tmp_path / "b").write_bytes(DATA[:2000])
    owned.adopt("a", length=2000)
    owned.adopt("b", length=1999)
    with GrowingStream(owned, "b") as kept:
        assert (kept.length, kept.doubtful) == (0, 2000)
    with GrowingStream(owned, "a") as kept:
        assert (kept.length, kept.read()) == (2000, DATA[:2000])
        with pytest.raises(Occupied):
            kept.restart()
        assert owned.prove("a") is Proof.UNPROVEN
        kept.confirm()
    assert owned.prove("a") is Proof.OURS
