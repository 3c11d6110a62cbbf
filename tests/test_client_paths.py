"""Names from a stranger, and where they lead: nowhere but into the folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from diffc_client.mirror import paths as module
from diffc_client.mirror.paths import Places, Unplaceable, blocks


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
    "name",
    [
        *(".hidden.png", ".mirror.json", ".diffc-written-1.log", "sub/.git/a.png"),
        *("x" * 252 + ".png", "ä" * 127, "/".join("x" * 34)),
    ],
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
        places.check(places.claim(name))


def test_the_folder_itself_may_be_a_link(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    assert Places(tmp_path / "link").claim("a.png").stream == home / "a.png.dfc"


def test_a_folder_that_may_not_be_a_link(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    Places(home, linked=False)
    with pytest.raises(Unplaceable, match="is a link"):
        Places(tmp_path / "link", linked=False)


def test_whose_a_place_is(home: Path) -> None:
    places = Places(home)
    assert places.owner("a") is None
    places.claim("a.dfc")
    assert (places.owner("a"), places.owner("a.dfc")) == ("a.dfc", "a.dfc")


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


def test_blocks() -> None:
    assert [blocks(size) for size in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]


def test_what_the_system_refuses_to_look_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(home)

    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "is_symlink", refuse)
    with pytest.raises(Unplaceable, match=r"'a\.dfc' cannot be reached: Permission denied"):
        places.check(places.claim("a"))


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
