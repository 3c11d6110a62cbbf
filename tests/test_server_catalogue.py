"""What is served, and above all what is not."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from diffc_server import Catalogue
from diffc_server.catalogue import catalogue, thumbprints
from diffc_server.catalogue.catalogue import LATEST
from diffc_server.catalogue.scan import Version
from diffc_server.catalogue.thumbprints import Thumbprints
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Catalogue as Page
from diffc_stream.session import encode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.png").write_bytes(b"")
    home = tmp_path / "served"
    for name in ("a.png", "B.JPG", "sub/deep/c.dfc", ".hidden.png", ".git/d.png", "notes.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(b"")
    (home / "folder.png").mkdir()
    (home / "out.png").symlink_to(tmp_path / "secret.png")
    (home / "up").symlink_to(tmp_path)
    (home / "within.png").symlink_to(home / "a.png")
    (home / "dangling.png").symlink_to(home / "nothing.png")
    (home / "loop.png").symlink_to(home / "loop.png")
    (home / "line\nbreak.png").write_bytes(b"")
    return home


def test_names(folder: Path) -> None:
    assert Catalogue(folder).names() == ("B.JPG", "a.png", "sub/deep/c.dfc", "within.png")


def test_every_name_is_a_file_below_the_folder(folder: Path) -> None:
    catalogue = Catalogue(folder)
    for name in catalogue.names():
        assert catalogue.path(name).is_relative_to(folder)
    assert catalogue.path("within.png") == folder / "a.png"


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../secret.png", "sub/../../secret.png", "sub/../a.png", "/a.png"),
        *("//a.png", "a.png/", "a.png\0", "a.png\0.jpg", "\0", "sub\\deep\\c.dfc", "~/a.png"),
        *("out.png", "up/secret.png", "up/served/a.png/../../secret.png", "dangling.png"),
        *("loop.png", "folder.png", "sub", ".hidden.png", ".git/d.png", "notes.txt"),
        *("%2e%2e/secret.png", "a.PNG", "a.png ", "x" * 300 + ".png", "line\nbreak.png", "\ud800"),
    ],
)
def test_everything_else_is_unknown(folder: Path, name: str) -> None:
    with pytest.raises(RequestRefused, match="there is no picture") as caught:
        Catalogue(folder).path(name)
    assert (caught.value.code, caught.value.retry) == ("unknown-image", False)


def test_a_catalogue_needs_a_folder(folder: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Catalogue(folder / "a.png")
    with pytest.raises(FileNotFoundError):
        Catalogue(folder / "nothing")


def test_entries(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"abc")
    os.utime(folder / "a.png", (1_790_000_000.75, 1_790_000_000.75))
    os.utime(folder / "B.JPG", (-5.0, -5.0))
    entries = Catalogue(folder).entries()
    assert [entry.name for entry in entries] == ["B.JPG", "a.png", "sub/deep/c.dfc", "within.png"]
    found = {entry.name: entry for entry in entries}
    assert (found["a.png"].size, found["a.png"].time) == (3, 1_790_000_000)
    assert (found["B.JPG"].size, found["B.JPG"].time) == (0, 0)
    assert found["within.png"].thumbprint == found["a.png"].thumbprint
    assert found["a.png"].thumbprint != found["B.JPG"].thumbprint
    assert encode(Page(images=entries, last=True))


def test_an_empty_folder_has_no_entries(tmp_path: Path) -> None:
    assert Catalogue(tmp_path).entries() == ()


def test_what_has_not_changed_is_not_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbprints, "UNSETTLED", 0.0)
    read: list[str] = []
    real = Thumbprints.take

    def noted(self: Thumbprints, name: str, path: Path, version: Version) -> str:
        read.append(path.name)
        return real(self, name, path, version)

    monkeypatch.setattr(Thumbprints, "take", noted)
    served = Catalogue(folder)
    first = served.entries()
    assert read == ["B.JPG", "a.png", "c.dfc", "a.png"]
    assert served.entries() == first
    assert len(read) == 4
    (folder / "B.JPG").write_bytes(b"another")
    second = served.entries()
    assert read[4:] == ["B.JPG"]
    assert second[0].thumbprint != first[0].thumbprint
    assert second[1:] == first[1:]
    # What is gone is forgotten.
    (folder / "B.JPG").unlink()
    assert served.entries() == first[1:]
    assert len(served.thumbprints) == 3


def test_a_file_that_vanishes_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Catalogue._files

    def slow(
        self: Catalogue, unserved: dict[str, str], below: str = ""
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        found = list(files(self, unserved, below))
        (folder / "B.JPG").unlink(missing_ok=True)
        yield from found

    monkeypatch.setattr(Catalogue, "_files", slow)
    served = [entry.name for entry in Catalogue(folder).entries()]
    assert served == ["a.png", "sub/deep/c.dfc", "within.png"]


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Thumbprints.take

    def guarded(self: Thumbprints, name: str, path: Path, version: Version) -> str:
        if path.name == "a.png":
            raise PermissionError("not for you")
        return real(self, name, path, version)

    monkeypatch.setattr(Thumbprints, "take", guarded)
    names = [entry.name for entry in Catalogue(folder).entries()]
    assert names == ["B.JPG", "sub/deep/c.dfc"]  # nor what leads there


def test_a_folder_that_goes_and_comes_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    catalogue = Catalogue(folder)
    away = folder.with_name("away")
    folder.rename(away)
    for _ in range(2):
        with pytest.raises(RequestRefused) as caught:
            catalogue.path("a.png")
        assert (caught.value.code, caught.value.retry) == ("busy", True)
        assert caught.value.after
    away.rename(folder)
    assert catalogue.path("a.png") == folder / "a.png"
    told = [
        record.getMessage().removeprefix(f"the folder of pictures, {folder}, ")
        for record in caplog.records
    ]
    assert told == ["is missing", "is there again"]
    with pytest.raises(RequestRefused) as caught:
        catalogue.path("z.png")
    assert caught.value.code == "unknown-image"


def test_what_is_swapped_in_while_it_is_looked_at_is_not_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment between a look at the name and the opening of the file."""
    (folder / "a.png").write_bytes(b"1234")
    (tmp_path / "secret.png").write_bytes(b"1234")
    served = Catalogue(folder)
    version = served.versions()["a.png"]
    real, read = Catalogue._find, []

    def swapping(self: Catalogue, name: str) -> Path | None:
        path = real(self, name)
        (folder / "a.png").unlink()
        (folder / "a.png").symlink_to(tmp_path / "secret.png")
        return path

    digest = hashlib.sha256

    def noting(data: bytes = b"") -> object:
        read.append(data)
        return digest(data)

    monkeypatch.setattr(Catalogue, "_find", swapping)
    monkeypatch.setattr(hashlib, "sha256", noting)
    assert served.entry("a.png", version) is None
    assert read == [b"4"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_without_descriptors_nothing_seems_to_have_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(*_: object, **__: object) -> NoReturn:
        raise OSError(number, "none left")

    served = Catalogue(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        with pytest.raises(OSError, match="none left"):
            served.entries()
    with monkeypatch.context() as patch:
        patch.setattr(Thumbprints, "take", failing)
        with pytest.raises(OSError, match="none left"):
            served.entries()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "resolve", failing)
        with pytest.raises(RequestRefused, match="at the moment") as caught:
            served.path("a.png")
        assert (caught.value.code, caught.value.retry) == ("busy", True)
    assert len(served.entries()) == 4


@pytest.mark.parametrize("age", [-(10**10), 10**10, 2**33, 2**62 // 10**9])
def test_times_that_nobody_can_say(folder: Path, age: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a file system, or whoever sets the clock, makes of them."""
    versions = Catalogue.versions

    def strange(self: Catalogue) -> dict[str, Version]:
        odd = Version(2**60, (2**53 + age) * 10**9, 1), Version(1, -age * 10**9, 2)
        return versions(self) | {"a.png": odd[0], "B.JPG": odd[1]}

    monkeypatch.setattr(Catalogue, "versions", strange)
    monkeypatch.setattr(Thumbprints, "take", lambda *_: "0" * 16)
    entries = Catalogue(folder).entries()
    assert len(entries) == 4
    for entry in entries:
        assert 0 <= entry.time <= LATEST
        assert encode(Page(images=(entry,), last=True))
    assert datetime.fromtimestamp(LATEST, UTC).year == 9999


def test_a_walk_follows_nothing_but_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        (folder / "sub" / f"{number}.png").write_bytes(b"")
    served = Catalogue(folder)
    calls: list[str] = []
    real = Path.resolve

    def noted(path: Path, strict: bool = False) -> Path:
        calls.append(path.name)
        return real(path, strict)

    monkeypatch.setattr(Path, "resolve", noted)
    assert len(served.versions()) == 204
    # Links alone are followed.
    assert set(calls) <= {"out.png", "up", "within.png", "dangling.png", "loop.png"}


ODD = (
    *("Screenshot 2024-03-01 at 9.41.00\u202fAM.png", "Sn\u00edmek v\u00a013.05.png"),
    *(
        "\u590f\u3000\u4f11\u307f.png",
        "\u0645\u06cc\u200c\u062e.png",
        "\U0001f469\u200d\U0001f680.png",
    ),
    *("rtl\u200f.png", "lrm\u200e\u061c.png", "\u202a+49 170\u202c.png", "soft\u00adhyphen.png"),
    *("\U0001fae8.png", "\U0001fae9\U000e0041.png", "\ue000.png", "\ufeffbom.png", "a b.png"),
    *(f"photo{suffix}" for suffix in (".jfif", ".jpe", ".HIF", ".mpo", ".apng", ".j2c", ".jpx")),
    *("photo.pbm", "photo.dib", "photo.avifs", "photo.jxl"),
    "/".join(("a" * 150, "ä" * 100, "b" * 200 + ".png")),
)
"""As phones, cameras and people name them."""


@pytest.mark.parametrize("name", ODD)
def test_names_that_people_have_are_served(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    served = Catalogue(tmp_path)
    [entry] = served.entries()
    assert entry.name == name
    assert served.path(name) == path
    assert served.unserved == 0
    encode(Page(images=(entry,), last=True))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (b"caf\xe9.png", "is not Unicode text"),
        (b"tab\t.png", "has characters that no picture's name has"),
        (b"back\\slash.png", "has characters that no picture's name has"),
        ("over\u202egnp.png".encode(), "has characters that no picture's name has"),
        (b"/".join([b"a" * 200] * 5 + [b"b.png"]), "has more than 1000 bytes"),
    ],
)
def test_names_that_cannot_be_told_are_said_once(
    name: bytes, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118  (of bytes)
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    with open(path, "wb"):  # noqa: PTH123
        pass
    (tmp_path / "plain.png").write_bytes(b"")
    (tmp_path / "notes\t.txt").write_bytes(b"")
    served = Catalogue(tmp_path)
    for _ in range(3):
        assert served.names() == ("plain.png",)
        assert served.unserved == 1
    [record] = caplog.records
    told = os.fsdecode(name).encode(errors="backslashreplace").decode()
    assert record.getMessage() == f"{told} is left out: its name {says}"


def test_names_that_look_the_same_are_found(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9 \u00fc.png", "cafe\u0301 u\u0308.png"
    for there, asked in ((composed, apart), (apart, composed)):
        folder = tmp_path / f"{len(there)}"
        (folder / there).mkdir(parents=True)
        (folder / there / there).write_bytes(b"")
        served = Catalogue(folder)
        assert served.path(f"{asked}/{asked}") == folder / there / there
        assert served.path(f"{there}/{asked}") == folder / there / there
        with pytest.raises(RequestRefused):
            served.path(f"{asked}/../{asked}/{asked}")
        # What is there is what counts.
        if not (folder / there / asked).exists():
            (folder / there / asked).write_bytes(b"other")
            assert served.path(f"{there}/{asked}") == folder / there / asked


def test_of_too_many_the_newest_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalogue, "MOST_NAMES", 3)
    served = Catalogue(tmp_path)
    for number in range(6):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"")
        os.utime(path, (1000 + number, 1000 + number))
        names = served.names()
        assert names == tuple(f"{n}.png" for n in range(max(0, number - 2), number + 1))
        assert served.left_out == max(0, number - 2)
    [record] = caplog.records
    assert "leaves out the 1 oldest" in record.getMessage()
    assert served.path("0.png") == tmp_path / "0.png"


def test_the_newest_are_listed_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        """A file, which a hundred thousand real ones would take long to be."""

        def __init__(self, number: int) -> None:
            self.number = number

        def stat(self) -> os.stat_result:
            return os.stat_result((0o100644, *(0,) * 6, *(self.number,) * 3))

    many = 100_100
    # As cameras name them: those that come last are the newest.
    files = [(f"{number:06}.png", Found(number)) for number in range(many)]
    monkeypatch.setattr(Catalogue, "_files", lambda *_: iter(files))
    monkeypatch.setattr(catalogue, "MOST_NAMES", 3)
    served = Catalogue(tmp_path)
    assert served.names() == ("100097.png", "100098.png", "100099.png")
    assert served.left_out == many - 3


def test_whoever_asks_is_told_how_many_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "MOST_NAMES", 60)
    for number in range(64):
        (tmp_path / f"{number}.png").write_bytes(b"")
    changes = Catalogue(tmp_path).changes
    pages = [page.message for page in asyncio.run(changes.listing())]
    assert [page.left_out for page in pages] == [0, 4]
    assert [page.last for page in pages] == [False, True]
