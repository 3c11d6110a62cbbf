"""Streams that would be the same have the same key, all others another."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffc_server.cache.stream_key import stream_key
from diffc_server.catalogue.file import File
from diffc_stream.errors import RequestRefused


def written(path: Path, content: bytes) -> File:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return File.at(path)


def test_what_a_stream_goes_back_to_is_part_of_its_key(tmp_path: Path) -> None:
    one, two, three = (written(tmp_path / name, name.encode()) for name in ("1", "2", "3"))
    chains = [(), (one,), (two,), (one, two), (two, one)]
    keys = [stream_key(three, "model", chain) for chain in chains]
    assert len(set(keys)) == len(chains)
    assert keys[0] == stream_key(three, "model")
    # By content and name, wherever the folder is.
    moved = [written(tmp_path / "moved" / name, name.encode()) for name in ("1", "2", "3")]
    assert stream_key(moved[2], "model", moved[:2]) == keys[3]
    renamed = written(tmp_path / "moved" / "another", b"1")
    assert stream_key(three, "model", (renamed,)) != keys[1]


def test_one_that_is_replaced_meanwhile(tmp_path: Path) -> None:
    first, second = written(tmp_path / "1", b"1"), written(tmp_path / "2", b"2")
    written(tmp_path / "1", b"another")
    with pytest.raises(RequestRefused, match="being replaced"):
        stream_key(second, "model", (first,))
