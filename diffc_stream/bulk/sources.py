"""The pictures and streams below a folder: their names, and their bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.errors import DestinationError, PictureTooLarge
from diffc_stream.imaging.kinds import SUFFIXES
from diffc_stream.picture import MOST_BYTES
from diffc_stream.session.fields import Name
from diffc_stream.session.messages import MAX_NAME

_NAME = Name(MAX_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file that may be a picture or a stream."""

    name: str
    """Its path below the folder, with forward slashes."""
    time: int
    """When it was changed, in seconds since 1970; 0 if that is not known."""


class Folder:
    """A local folder.  Hidden files and folders, and links to folders, are left out."""

    def __init__(self, path: Path) -> None:
        """Read below ``path``.  Raises DestinationError if it is no folder."""
        self.path = path
        if not path.is_dir():
            raise DestinationError(f"{path}: there is no such folder")

    def files(self) -> Iterator[Found]:
        """Yield the files with a picture's or a stream's suffix, by name.  Raises OSError."""
        yield from self._below("")

    def read(self, name: str) -> bytes:
        """Return a file's bytes.  Raises OSError, or PictureTooLarge beyond 2^30 bytes."""
        with (self.path / name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise PictureTooLarge(f"{name}: more than {MOST_BYTES:,} bytes")
        return data

    def _below(self, folder: str) -> Iterator[Found]:
        with os.scandir(self.path / folder) as found:
            entries = sorted(found, key=lambda entry: (entry.name, entry.path))
        for entry in entries:
            name = folder + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(f"{name}/")
            elif is_named(name) and entry.is_file():
                yield Found(name=name, time=int(entry.stat().st_mtime))


def is_named(name: str) -> bool:
    """Tell whether ``name`` has a suffix of pictures or streams, and is one that receivers take."""
    if Path(name).suffix.lower() not in SUFFIXES:
        return False
    try:
        _NAME.parse(name)
    except ValueError:
        return False
    return True
