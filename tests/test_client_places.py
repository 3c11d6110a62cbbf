"""Names from a stranger, and where they lead: nowhere but into the folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from diffc_client import places as module
from diffc_client.places import Places, Unplaceable, blocks


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def test_names_and_places(home: Path) -> None:
    places = Places(home)
    for name, stream, picture in (
        ("a.png", "a.png.dfc", "a.png.png"),
        ("ready.dfc", "ready.dfc", "ready.dfc.png"),
        ("READY.DFC", "READY.DFC", "READY.DFC.png"),
        ("sub/deep/ä.jpg", "sub/deep/ä.jpg.dfc", "sub/deep/ä.jpg.png"),
    ):
        place = places.claim(name)
        assert place.stream == home / stream
        assert place.picture == home / picture
        assert place.beside.parent == place.stream.parent
        assert place.beside.name.startswith(".")
    assert places.folder == home
    # Nothing is made before there is something to keep.
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "name", [".hidden.png", ".mirror.json", "sub/.git/a.png", "x" * 252 + ".png", "ä" * 127]
)
def test_names_that_are_no_files_here(home: Path, name: str) -> None:
    with pytest.raises(Unplaceable):
        Places(home).claim(name)


@pytest.mark.parametrize(
    "name",
    [
        *("con", "aux.png", "NUL.tar.png", "com1.png", "sub/LPT9/a.png", "prn .png", "COM².png"),
        *("a:b.png", "a?.png", "what*.png", "<a>.png", '"a".png', "a|b.png", "sub./a.png", "a "),
    ],
)
def test_names_that_windows_cannot_have(home: Path, name: str) -> None:
    with pytest.raises(Unplaceable, match="on Windows"):
        Places(home, windows=True).claim(name)
    Places(home, windows=False).claim(name)


def test_on_windows_most_names_are_fine(home: Path) -> None:
    for name in ("console.png", "a.b.png", "com10.png", "sub/aux1.png"):
        Places(home, windows=True).claim(name)


@pytest.mark.parametrize("name", ["out/a.png", "a.png", "in/a.png", "loop/a.png"])
def test_links_are_not_followed(home: Path, tmp_path: Path, name: str) -> None:
    places = Places(home)
    (tmp_path / "outside").mkdir()
    (home / "real").mkdir()
    (home / "out").symlink_to(tmp_path / "outside")
    (home / "in").symlink_to(home / "real")
    (home / "loop").symlink_to(home / "loop")
    (home / "a.png.dfc").symlink_to(tmp_path / "outside" / "a.png.dfc")
    with pytest.raises(Unplaceable, match="through a link"):
        places.claim(name)


def test_the_folder_itself_may_be_a_link(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    assert Places(tmp_path / "link").claim("a.png").stream == home / "a.png.dfc"


def test_two_names_of_one_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(home)
    places.claim("a.png")
    assert places.claim("a.png") == places.claim("a.png")
    with pytest.raises(Unplaceable, match=r"the same file as 'a\.png'"):
        places.claim("a.png.dfc")
    assert (places.rival("a.png.dfc"), places.rival("a.png")) == ("a.png", None)
    places.release("a.png.dfc")
    places.release("a.png")
    places.claim("a.png.dfc")
    assert places.rival("a.png") == "a.png.dfc"
    # Elsewhere case, or how an umlaut is written, makes no difference.
    places.claim("B.png")
    places.claim("b.png")
    monkeypatch.setattr(module, "_folds", lambda _: True)
    places = Places(home)
    places.claim("B.png")
    places.claim("\u00e4.png")
    for name in ("b.png", "B.PNG", "a\u0308.png"):
        with pytest.raises(Unplaceable, match="the same file as"):
            places.claim(name)


def test_whether_case_matters_is_tried_out(home: Path) -> None:
    home.mkdir()
    assert module._folds(home) is (home.with_name("KEPT")).exists()
    assert list(home.iterdir()) == []


def test_a_newer_stream_takes_the_place_when_it_is_as_long(home: Path) -> None:
    place = Places(home).claim("a.png")
    assert place.growing == place.stream
    place.settle(ended=True)
    place.stream.write_bytes(b"old one")
    assert place.growing == place.stream
    place.beside.write_bytes(b"newer")
    assert (place.growing, place.taken) == (place.beside, 2 * 4096)
    place.settle(ended=False)
    assert place.stream.read_bytes() == b"old one"
    place.beside.write_bytes(b"newer one")
    place.settle(ended=False)
    assert place.stream.read_bytes() == b"newer one"
    place.beside.write_bytes(b"!")
    place.settle(ended=True)
    assert place.stream.read_bytes() == b"!"
    assert not place.beside.exists()


def test_removing(home: Path) -> None:
    places = Places(home)
    for name in ("sub/deep/a.png", "sub/b.png"):
        place = places.claim(name)
        place.stream.parent.mkdir(parents=True, exist_ok=True)
        place.stream.write_bytes(b"")
        place.picture.write_bytes(b"")
        place.beside.write_bytes(b"")
    places.remove("sub/deep/a.png")
    assert sorted(path.name for path in (home / "sub").iterdir() if path.name[0] != ".") == [
        "b.png.dfc",
        "b.png.png",
    ]
    places.remove("sub/b.png")
    assert list(home.iterdir()) == []
    places.remove("never.png")


def test_blocks() -> None:
    assert [blocks(size) for size in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]


def test_what_the_system_refuses_to_look_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(home)

    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    place = places.claim("a")
    monkeypatch.setattr(Path, "is_symlink", refuse)
    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(Unplaceable, match="'a' cannot be reached: Permission denied"):
        places.claim("a")
    assert place.growing == place.stream
    place.settle(ended=True)


def test_disk_that_streams_take(home: Path) -> None:
    places = Places(home)
    assert places.taken() == 0
    for name in ("a", "sub/b.DFC", "mine.txt"):
        places.claim(name).stream.parent.mkdir(exist_ok=True)
        places.claim(name).stream.write_bytes(b"!" * 5000)
    (home / "mine.txt").write_bytes(b"mine" * 5000)
    places.claim("sub/b.DFC").beside.write_bytes(b"!")
    assert places.taken() == 7 * 4096


def test_when_a_picture_is_of_its_stream(home: Path) -> None:
    place = Places(home).claim("a")
    assert not place.rendered
    place.stream.write_bytes(b"stream")
    assert not place.rendered
    place.picture.write_bytes(b"picture")
    os.utime(place.stream, ns=(1, 10**18))
    assert not place.rendered
    os.utime(place.picture, ns=(1, 10**18))
    assert place.rendered


def test_locks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Places(home), Places(home)
    first.lock()
    with pytest.raises(OSError, match="another mirror is kept there"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()
    second.unlock()

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", unknown)
    first.lock()
    first.unlock()
