"""The catalogue: which files of a folder are served, and under what names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from heapq import heappush, heappushpop
from pathlib import Path
from unicodedata import normalize

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.errors import RequestRefused
from diffc_stream.imaging.kinds import SUFFIXES
from diffc_stream.opening import is_exhausted, is_passing
from diffc_stream.session import Code, Entry
from diffc_stream.session.fields import Name
from diffc_stream.session.messages import MAX_NAME

from .cameras import Cameras
from .file import File, try_later
from .scan import Version
from .thumbprints import Memory, Thumbprints
from .watcher import CatalogueWatcher

MOST_NAMES = 10_000
"""A catalogue lists the newest so many; others can still be asked for by name."""
MOST_COUNTED = 100_000
"""How many files with names that the protocol cannot send a walk counts, ..."""
MOST_UNSERVED = 1000
"""... and how many of them are remembered as logged."""
LATEST = 253_402_300_799
"""The last second of the year 9999, since 1970: receivers show times with four-digit years."""
MOST_SIZE = 2**53
"""Largest file size that the protocol can send; a sparse file may be larger."""

AWAY = 10.0
"""Seconds after which to ask again for a picture whose folder has gone."""

logger = logging.getLogger("diffc_server")


class Catalogue:
    """The pictures and streams below one folder.

    A picture's name is its path relative to the folder, with forward slashes.  Hidden files,
    hidden folders and links that lead out of the folder are not served.
    """

    def __init__(
        self, folder: Path, *, memory: Memory | None = None, cameras: Cameras | None = None
    ) -> None:
        """Serve ``folder``, in which pictures of ``cameras``, if given, follow each other.

        With ``memory``, the hashes of its files are noted there, so that the next process need not
        read all files again.

        Raises NotADirectoryError or FileNotFoundError.
        """
        self.folder = folder.resolve(strict=True)
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder")
        self.changes = CatalogueWatcher(self)
        """Tells followers what changes in the folder."""
        self._cameras = cameras
        self._name = Name(MAX_NAME)
        self.left_out = 0
        """How many older files the last walk found that the catalogue has no room for."""
        self.unserved = 0
        """How many files it found whose names the protocol cannot send."""
        self._spoken_of: set[str] = set()
        """Which of these the log has named."""
        self._gone = False
        self.thumbprints = Thumbprints(self.folder, memory)

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of all pictures, sorted by name; walks the folder, so it is slow."""
        versions = self.versions()
        entries = [self.entry(name, version) for name, version in versions.items()]
        self.forget(versions)
        return tuple(entry for entry in entries if entry is not None)

    def versions(self) -> dict[str, Version]:
        """Return the versions of the newest pictures' files, by name.

        Walks the whole folder, however many files it has, so it is slow.  Raises OSError if the
        folder cannot be read at the moment.
        """
        newest: list[tuple[int, str, Version]] = []
        left_out = 0
        unserved: dict[str, str] = {}
        for name, file in self._files(unserved):
            try:
                stat = file.stat()
            except OSError as error:
                _raise_if_exhausted(error)
                continue  # gone meanwhile
            version = Version.of(stat)
            if len(newest) < MOST_NAMES:
                heappush(newest, (version.time, name, version))
            else:
                heappushpop(newest, (version.time, name, version))
                left_out += 1
        self._speak_of(unserved)
        if left_out and not self.left_out:
            logger.warning(
                "a catalogue holds the newest %d pictures: of %s it leaves out the %d oldest, "
                "which can be asked for by name",
                MOST_NAMES,
                self.folder,
                left_out,
            )
        self.left_out = left_out
        return dict(sorted((name, version) for _, name, version in newest))

    def _speak_of(self, unserved: dict[str, str]) -> None:
        """Log, once each, the files that are left out because of their names."""
        self.unserved = len(unserved)
        for name, reason in unserved.items():
            if len(self._spoken_of) >= MOST_UNSERVED:
                break
            if name not in self._spoken_of:
                self._spoken_of.add(name)
                # Names need not be valid text, and the log has to be.
                told = name.encode(errors="backslashreplace").decode()
                logger.warning("%s is left out: its name %s", told, reason)

    def entry(self, name: str, version: Version) -> Entry | None:
        """Return a picture's entry; None if it cannot be read.

        Reads the file unless its hash is known, so it is slow.  Raises OSError if no file can be
        read at the moment.
        """
        thumbprint = self.thumbprints.known(name, version)
        if thumbprint is None:
            try:
                path = self._find(name)
                if path is None:
                    return None  # gone meanwhile
                thumbprint = self.thumbprints.take(name, path, version)
            except OSError as error:
                _raise_if_exhausted(error)
                return None
        # One file with an impossible time or size must not keep the others from being listed.
        time = min(max(0, version.time // 10**9), LATEST)
        size = min(version.size, MOST_SIZE)
        return Entry(name=name, size=size, time=time, thumbprint=thumbprint)

    def settled(self, name: str) -> bool:
        """Tell whether the same version means the same content: see ``UNSETTLED``."""
        return self.thumbprints.settled(name)

    def forget(self, versions: dict[str, Version]) -> None:
        """Forget all files except these."""
        self.thumbprints.keep(versions)

    def names(self) -> tuple[str, ...]:
        """Return the names of all pictures in order; walks the folder, so it is slow.

        Raises OSError if the folder cannot be read at the moment.
        """
        return tuple(self.versions())

    def file(self, name: str) -> File:
        """Return the file of that name as it is now; raises as :meth:`path` does."""
        return File.at(self.path(name))

    @property
    def ordered(self) -> bool:
        """Whether pictures of a folder follow each other."""
        return self._cameras is not None

    def before(self, name: str, file: File) -> tuple[File, ...]:
        """Return the pictures that the stream of a name's file goes back to, the key picture first.

        Empty if no pictures follow each other, for a stream, which is sent as it is, and for one
        that is not where its name says, but a link leads to it: receivers look for the others by
        name.  Slow; raises RequestRefused.
        """
        if self._cameras is None or file.path.suffix.lower() == STREAM_SUFFIX:
            return ()
        named, found = (normalize("NFC", str(path)) for path in (self.folder / name, file.path))
        return self._cameras.before(file) if named == found else ()

    def path(self, name: str) -> Path:
        """Return the path of a picture's file, with links resolved.

        Raises RequestRefused if there is none.  If a disk does not answer or the whole folder is
        missing, the refusal says to try again later, because the disk may come back.
        """
        try:
            path = self._find(name)
        except OSError as error:
            raise try_later() from error
        self._note(present=path is not None or self.folder.is_dir())
        if self._gone:
            message = "the folder of pictures is missing"
            raise RequestRefused(Code.BUSY, message, retry=True, after=AWAY)
        if path is None:
            raise RequestRefused(Code.UNKNOWN_IMAGE, f"there is no picture {name!r} here")
        return path

    def _note(self, *, present: bool) -> None:
        """Log once that the folder has vanished, and once that it is back."""
        if present is self._gone:
            self._gone = not present
            what = "is there again" if present else "is missing"
            logger.warning("the folder of pictures, %s, %s", self.folder, what)

    def _find(self, name: str) -> Path | None:
        """Return a picture's path, or None.  Raises OSError if the disk cannot tell now."""
        try:
            self._name.parse(name)
            if any(segment.startswith(".") for segment in name.split("/")):
                return None
            path = self._present(name).resolve(strict=True)
            inside = path.is_relative_to(self.folder) and path.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            if is_passing(error):
                raise
            return None  # not a name, no such file, or a loop of links
        return path if inside and Path(name).suffix.lower() in SUFFIXES else None

    def _present(self, name: str) -> Path:
        """Return the path for a name, or for an equivalent Unicode spelling of it that exists.

        A name that is typed may compose its accents otherwise than the system that made the file.
        """
        path = self.folder / name
        if name.isascii() or path.exists():
            return path
        path = self.folder
        for segment in name.split("/"):
            spelled = (segment, *(normalize(form, segment) for form in ("NFC", "NFD")))
            path = next((path / way for way in spelled if (path / way).exists()), path / segment)
        return path

    def _files(
        self, unserved: dict[str, str], below: str = ""
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Walk the folder: its files first, then its folders, each by name.

        Files whose names the protocol cannot send are added to ``unserved``, with the reason.
        """
        try:
            with os.scandir(self.folder / below) as found:
                entries = sorted(found, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            _raise_if_exhausted(error)
            return  # gone meanwhile, or not readable
        folders = []
        while entries:
            entry = entries.pop()  # so that what has been looked at takes no memory
            name = below + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{name}/")
            elif self._is_served(name, entry, unserved):
                yield name, entry
        for folder in folders:
            yield from self._files(unserved, folder)

    def _is_served(self, name: str, entry: os.DirEntry[str], unserved: dict[str, str]) -> bool:
        suffix = os.path.splitext(name)[1]  # noqa: PTH122  (ten thousand times)
        if suffix.lower() not in SUFFIXES:
            return False
        try:
            self._name.parse(name)
        except ValueError as error:
            if entry.is_file() and len(unserved) < MOST_COUNTED:
                unserved[name] = str(error)
            return False
        if entry.is_symlink():  # only links have to be resolved
            return self._there(name)
        return entry.is_file(follow_symlinks=False)

    def _there(self, name: str) -> bool:
        try:
            return self._find(name) is not None
        except OSError as error:
            _raise_if_exhausted(error)
            return False  # other files may still be readable


def _raise_if_exhausted(error: OSError) -> None:
    """Raise if the process lacks descriptors or memory, which says nothing about the file."""
    if is_exhausted(error):
        raise error
