"""Files are written wholly or not at all."""

from pathlib import Path

import pytest

from diffc_stream.replacement import replacing, stamp, sweep


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


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "画" * 85])
def test_a_name_of_the_greatest_length_works(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with replacing(path) as file:
        file.write(b"new")
        [torn] = tmp_path.iterdir()
        assert len(torn.name.encode()) < 255
        torn.with_name(f"{torn.name[:-13]}0123abcd.part").write_bytes(b"half")
    assert path.read_bytes() == b"new"
    sweep(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_left_of_one_file_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "a[1].png"
    torn, others = tmp_path / ".a[1].png.0123abcd.part", tmp_path / ".a1.png.0123abcd.part"
    for left in (path, torn, others):
        left.write_bytes(b"half")
    sweep(path)
    assert sorted(tmp_path.iterdir()) == sorted([path, others])
    sweep(tmp_path / "nothing")


def test_a_stamp_tells_what_was_replaced_or_written_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert stamp(path) is None
    path.write_bytes(b"one")
    first = stamp(path)
    assert first == stamp(path)
    with replacing(path) as file:
        file.write(b"two")
    second = stamp(path)
    path.write_bytes(b"longer")
    assert len({None, first, second, stamp(path)}) == 4
