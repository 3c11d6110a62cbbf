"""A stream in the folder is replaced once another is as long, or all there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diffc_client.mirror.growing_file import GrowingStream
from diffc_client.mirror.owned_folder import Occupied, OwnedFolder
from diffc_client.mirror.paths import Places
from diffc_client.mirror.versions import growing_version, new_version, settle


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[OwnedFolder]:
    owned = OwnedFolder(Places(tmp_path))
    yield owned
    owned.close()


def grow(owned: OwnedFolder, relative: str, data: bytes) -> None:
    with GrowingStream(owned, relative) as kept:
        kept.append(data)


def test_the_longer_one_stays(tmp_path: Path, owned: OwnedFolder) -> None:
    place = owned.places.claim("a.png")
    assert growing_version(owned, place) == "a.png.dfc"
    assert settle(owned, place, ended=True) == (0, False)
    grow(owned, "a.png.dfc", b"the old one")
    assert settle(owned, place, ended=True) == (11, False)
    beside = new_version(owned, place)
    grow(owned, beside, b"new")
    assert growing_version(owned, place) == new_version(owned, place) == beside
    assert settle(owned, place, ended=False) == (11, False)
    grow(owned, beside, b"er than that")
    assert settle(owned, place, ended=False) == (15, True)
    assert (tmp_path / "a.png.dfc").read_bytes() == b"newer than that"
    grow(owned, new_version(owned, place), b"short")
    assert settle(owned, place, ended=True) == (5, True)


def test_files_of_others_are_in_the_way(tmp_path: Path, owned: OwnedFolder) -> None:
    place = owned.places.claim("a.png")
    grow(owned, new_version(owned, place), b"new")
    (tmp_path / "a.png.dfc").write_bytes(b"of another program")
    with pytest.raises(Occupied):
        settle(owned, place, ended=True)
    assert owned.beside(place) is None
    while (free := owned.beside(place, anew=True)) is not None:
        (tmp_path / free).parent.mkdir(exist_ok=True)
        (tmp_path / free).touch()
    with pytest.raises(Occupied, match="in the way"):
        new_version(owned, place)
