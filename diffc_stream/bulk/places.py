"""Places of files: a local folder, or whatever fsspec reaches by a URL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.errors import (
    AddressError,
    DestinationError,
    MissingPackage,
    PictureTooLarge,
)
from diffc_stream.imaging.kinds import SUFFIXES
from diffc_stream.picture import MOST_BYTES
from diffc_stream.replacement import replacing
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
    nanoseconds: int = 0
    """The same, in nanoseconds."""
    linked: bool = False
    """Whether it is a link to a file."""


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

    def write(self, name: str, data: bytes) -> None:
        """Write a file, wholly or not at all.  Raises OSError."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(data)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; none if there is no such folder."""
        found = (self.path / folder).glob("*.jsonl")
        return sorted(f"{folder}/{path.name}" for path in found)

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
                time = entry.stat().st_mtime_ns
                yield Found(
                    name=name,
                    time=time // 10**9,
                    nanoseconds=time,
                    linked=entry.is_symlink(),
                )


class Remote:
    """A place that fsspec reaches, such as a bucket: each file is read or written by one call."""

    def __init__(self, url: str) -> None:
        """Use what is below ``url``.

        Raises MissingPackage without fsspec or the package that it needs for such a URL, and
        AddressError for a URL that it does not know.
        """
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingPackage(
                "a place at a URL needs fsspec: pip install 'diffc-stream[remote]'"
            ) from error
        try:
            self._files, root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise MissingPackage(f"a place at such a URL needs more: {error}") from error
        except ValueError as error:
            raise AddressError(f"not where pictures can be: {error}") from error
        self._root = str(root).rstrip("/")

    def files(self) -> Iterator[Found]:
        """Yield the files with a picture's or a stream's suffix.  Raises OSError."""
        with _told():
            for folder, _, entries in self._files.walk(self._root, detail=True):
                below = str(folder).removeprefix(self._root).strip("/")
                for last in sorted(entries):
                    name = f"{below}/{last}" if below else last
                    hidden = any(part.startswith(".") for part in name.split("/"))
                    if is_named(name) and not hidden:
                        yield Found(name=name, time=0)

    def read(self, name: str) -> bytes:
        """Return a file's bytes.  Raises OSError, or PictureTooLarge beyond 2^30 bytes."""
        with _told():
            data = bytes(self._files.cat_file(self._path(name), start=0, end=MOST_BYTES + 1))
        if len(data) > MOST_BYTES:
            raise PictureTooLarge(f"{name}: more than {MOST_BYTES:,} bytes")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file.  Object stores do so wholly or not at all.  Raises OSError."""
        with _told():
            path = self._path(name)
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; none if there is no such folder."""
        with _told():
            try:
                found = self._files.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(f"{folder}/{str(path).rpartition('/')[2]}" for path in found)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


Place = Folder | Remote


class PlaceNotes:
    """A small file in a place, as a :class:`diffc_stream.ledger.Ledger` keeps."""

    def __init__(self, where: Place, name: str) -> None:
        self._place = where
        self._name = name

    def read(self) -> bytes | None:
        """Return its bytes, if there is one.  Raises OSError."""
        try:
            return self._place.read(self._name)
        except FileNotFoundError:
            return None

    def write(self, data: bytes) -> None:
        """Replace it.  Raises OSError."""
        self._place.write(self._name, data)

    def set_aside(self) -> str:
        """Copy it, and return the copy's name.  Raises OSError."""
        name = f"{self._name}.damaged"
        self._place.write(name, self.read() or b"")
        return name


def place(where: str, *, make: bool = False) -> Place:
    """Return the place that an argument names: a URL, or a folder, which ``make`` creates.

    Raises DestinationError, AddressError, MissingPackage or OSError.
    """
    if "://" in where:
        return Remote(where)
    if make:
        Path(where).mkdir(parents=True, exist_ok=True)
    return Folder(Path(where))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn every error of a file system into an OSError with one line of text."""
    try:
        yield
    except (FileNotFoundError, PictureTooLarge):
        raise
    except Exception as error:  # Each file system has its own exceptions.
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise OSError(0, text) from error


def is_named(name: str) -> bool:
    """Tell whether ``name`` has a suffix of pictures or streams, and is one that receivers take."""
    if Path(name).suffix.lower() not in SUFFIXES:
        return False
    try:
        _NAME.parse(name)
    except ValueError:
        return False
    return True
