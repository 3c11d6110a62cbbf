"""TOML files are read or refused in one line."""

from pathlib import Path

import pytest

from diffc_stream.transport.toml import read_toml


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_a_file_says(tmp_path: Path, mark: bytes) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(mark + b'name = "ship"\r\n')
    assert read_toml(file, 100) == {"name": "ship"}


@pytest.mark.parametrize(
    "data", [b"[", b"a = \xff", b"a = " + 5000 * b"[", b"a = " + 5000 * b"9", b"a = 1\na = 2"]
)
def test_what_is_none_is_said_in_one_line(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_toml(file, 10_000)
    assert len(str(caught.value).splitlines()) == 1


def test_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"a = 1")
    assert read_toml(file, 5) == {"a": 1}
    with pytest.raises(OverflowError, match="more than 4 bytes"):
        read_toml(file, 4)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_toml(tmp_path / "a.toml", 100)
