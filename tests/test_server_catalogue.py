"""What is served, and above all what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffc_server import Catalogue
from diffc_stream.errors import RequestRefused


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
