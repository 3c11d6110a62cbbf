"""Files are written wholly or not at all."""

from pathlib import Path

import pytest

from diffc_stream.replacement import replacing


def test_a_file_takes_the_others_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_behind_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(ValueError, match="half-way"), replacing(path) as file:
        file.write(b"new")
        raise ValueError("half-way")
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_the_greatest_length_works(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
