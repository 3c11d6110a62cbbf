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
    reason,
)
from diffc_stream.imaging.kinds import SUFFIXES
from diffc_stream.opening import is_passing
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
    wrong: str = ""
    """Why it cannot be used, in one line, or an empty string.

    Such a one may also be a folder, whose name ends with a slash then.  What of the name cannot be
    shown is escaped, so it cannot be opened by it.
    """


class Folder:
    """A local folder.  Hidden files and folders, and links to folders, are left out."""

    def __init__(self, path: Path) -> None:
        """Read below ``path``.  Raises DestinationError if it is no folder."""
        self.path = path
        if not path.is_dir():
            raise DestinationError(f"{path}: there is no such folder")

    def files(self) -> Iterator[Found]:
        """Yield the files with a picture's or a stream's suffix, by name.

        Those that cannot be used because of their names are among them, and so are folders that
        cannot be read; they say so.  Raises OSError if the whole folder cannot be read, or a disk
        does not answer at the moment.
        """
        with os.scandir(self.path) as entries:
            yield from self._among("", list(entries))

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

    def _among(self, folder: str, entries: list[os.DirEntry[str]]) -> Iterator[Found]:
        for entry in sorted(entries, key=lambda entry: (entry.name, entry.path)):
            name = folder + entry.name
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                found = None if is_folder or not _has_suffix(name) else _found(name, entry)
            except OSError as error:
                is_folder, found = False, _unreadable(name, error)
            if is_folder:
                yield from self._below(f"{name}/")
            elif found is not None:
                yield found

    def _below(self, folder: str) -> Iterator[Found]:
        try:
            with os.scandir(self.path / folder) as found:
                entries = list(found)
        except OSError as error:
            wrong = _unreadable(folder, error)
            if wrong is not None:
                yield wrong
        else:
            yield from self._among(folder, entries)


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
        """Yield the files with a picture's or a stream's suffix.

        As of a local folder, those that cannot be used are among them.  Raises OSError.
        """
        with _told():
            yield from self._below("")

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

    def _below(self, folder: str) -> Iterator[Found]:
        # Not by walk(), which passes over what cannot be listed.
        path = self._path(folder).rstrip("/") or self._files.root_marker
        try:
            listed = self._files.ls(path, detail=True)
        except OSError as error:
            if not folder and not isinstance(error, FileNotFoundError):
                raise
            wrong = _unreadable(folder, error)
            if wrong is not None:
                yield wrong
            return
        folders = []
        for entry in sorted(listed, key=lambda entry: str(entry["name"])):
            last = str(entry["name"]).rstrip("/").rpartition("/")[2]
            name = folder + last
            if last.startswith(".") or str(entry["name"]).strip("/") == path.strip("/"):
                continue  # hidden, or the folder itself, for which stores may have an object
            if entry["type"] == "directory":
                folders.append(f"{name}/")
            elif _has_suffix(name):
                yield Found(name=_shown(name), time=0, wrong=_unsendable(name))
        for below in folders:
            yield from self._below(below)

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


def _found(name: str, entry: os.DirEntry[str]) -> Found | None:
    """Return what a file is; None if it is none.  Raises OSError."""
    if not entry.is_file():
        return None
    time = entry.stat().st_mtime_ns
    return Found(
        name=_shown(name),
        time=time // 10**9,
        nanoseconds=time,
        linked=entry.is_symlink(),
        wrong=_unsendable(name),
    )


def _unreadable(name: str, error: OSError) -> Found | None:
    """Return a file or folder that cannot be looked at; None if it has gone meanwhile.

    Raises the error if it says nothing about the file, because another time all may be well.
    """
    if is_passing(error):
        raise error
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return None
    return Found(name=_shown(name), time=0, wrong=error.strerror or reason(error))


def _has_suffix(name: str) -> bool:
    """Tell whether ``name`` has a suffix of pictures or streams."""
    return Path(name).suffix.lower() in SUFFIXES


def _unsendable(name: str) -> str:
    """Return why receivers do not take ``name``, or an empty string."""
    try:
        _NAME.parse(name)
    except ValueError as error:
        return f"its name {error}"
    return ""


def _shown(name: str) -> str:
    """Return a name as it can be shown, on one line: names that are taken stay as they are."""
    if not _unsendable(name.rstrip("/")):
        return name
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)
