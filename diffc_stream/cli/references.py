"""The files that streams start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from diffc_stream.cli import streams
from diffc_stream.destination import STANDARD

if TYPE_CHECKING:
    from diffc_stream.container import Reference


def finder(stream: Path, given: list[Path]) -> Callable[[Reference], bytes | None]:
    """Return what finds the bytes that a reference names, for a stream in the file ``stream``.

    They are looked for in the files ``given``, and in the stream's folder by the name that the
    stream says, which must be the name of a file there and not a path.  Raises OSError if a given
    file cannot be read.
    """
    files = [streams.read(path) for path in given]

    def find(reference: Reference) -> bytes | None:
        for data in files:
            if reference.matches(data):
                return data
        path = beside(stream, reference.name)
        data = _beginning(path, reference.size) if path is not None else b""
        return data if reference.matches(data) else None

    return find


def beside(stream: Path, name: str) -> Path | None:
    """Return the file ``name`` in the folder of ``stream``, unless the name leads elsewhere."""
    if stream == STANDARD or not name or not name.isprintable():
        return None
    if {PurePosixPath(name).name, PureWindowsPath(name).name} != {name}:
        return None
    path = stream.parent / name
    return path if path.is_file() else None


def _beginning(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""
