"""A mirror's folder, in which the user's own files stay as they are.

A sender chooses the names and bytes of files here, so it replaces and deletes only files that the
journal says were written here, and that are unchanged since.  Any other file is kept, and reported
if it is in the way.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from diffc_stream.replacement import unfinished
from diffc_stream.session import MAX_STREAM

from .confined_folder import ConfinedFolder, is_file
from .content import ASK, COMPARE, EMPTY, Content, digest_of
from .journal import Journal, write_all
from .paths import BLOCK, Place, Places, Unplaceable, blocks

MOST_BYTES = 2**34
"""Bytes of disk that one sender may fill."""
MOST_PICTURES = 100_000
"""Pictures of one sender, removed ones that are still here included; and folders for them."""
FILES_EACH = 3
"""Files for each picture: its stream, the stream that is to replace it, and its rendering."""
MOST_BESIDE = 9
"""How many names are tried for the second of these if foreign files are in the way."""
PIECE = 2**20


class Full(OSError):
    """The sender's share of the disk is used up."""


class Occupied(Unplaceable):
    """A foreign file has the name that one should get; it is kept."""


class Proof(enum.Enum):
    """Whether a file is ours."""

    ABSENT = enum.auto()
    OURS = enum.auto()
    """It is unchanged since it was written here."""
    UNPROVEN = enum.auto()
    """An earlier version of this program, which noted no digests, may have written it."""
    FOREIGN = enum.auto()


class OwnedFolder:
    """The files of a mirror below one folder."""

    def __init__(
        self,
        places: Places,
        *,
        most_bytes: int = MOST_BYTES,
        most_pictures: int = MOST_PICTURES,
    ) -> None:
        """Open the folder and its journal; no other process may use it.  Raises OSError."""
        self.places = places
        self.folder = places.folder
        self.confined = ConfinedFolder(places.folder)
        self.journal = Journal(self.confined)
        self.most_bytes = most_bytes
        self.most_pictures = most_pictures
        self._writing = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Wait for the write that is running, and stop writing."""
        with self._writing:
            self._closed = True
        self.journal.close()

    def relative(self, path: Path) -> str:
        """Return a path relative to the folder, as in the journal."""
        return path.relative_to(self.folder).as_posix()

    def size(self, relative: str) -> int:
        """Return a file's size in bytes; 0 if there is none."""
        try:
            return self.confined.stat(relative).st_size
        except OSError:
            return 0

    def beside(self, place: Place, *, anew: bool = False) -> str | None:
        """Return the file that grows to replace a stream; None if there is none.

        With ``anew``, return a free name for such a file; None if foreign files have all of them.
        """
        for relative in self._beside(place):
            ours, there = self.journal.get(relative) is not None, self.confined.exists(relative)
            if (ours and there) or (anew and not there):
                return relative
        return None

    def noted(self, place: Place) -> int:
        """Return how many bytes the journal notes for the growing stream; reads no disk."""
        for relative in (*self._beside(place), self.relative(place.stream)):
            known = self.journal.get(relative)
            if known is not None:
                return known[0].size
        return 0

    def _beside(self, place: Place) -> Iterator[str]:
        stem, dot, suffix = self.relative(place.beside).rpartition(".")
        yield f"{stem}{dot}{suffix}"
        for number in range(2, MOST_BESIDE + 1):
            yield f"{stem}-{number}{dot}{suffix}"

    def check_room(self, growth: int, *, files: int = 0, folders: int = 0) -> None:
        """Raise Full if so many more bytes, files and folders would exceed the limits."""
        if self.journal.used + growth + BLOCK * folders > self.most_bytes:
            raise Full(f"{self.journal.used} bytes are the limit of disk space")
        if files and self.journal.files + files > FILES_EACH * self.most_pictures:
            raise Full(f"{self.journal.files} files are the limit")
        if folders and self.journal.folders + folders > self.most_pictures:
            raise Full(f"{self.journal.folders} folders are the limit")

    def adopt(self, relative: str, *, length: int | None) -> None:
        """Note a file as written by an earlier version, with ``length`` bytes if known."""
        if self.journal.get(relative) is not None:
            return
        with contextlib.suppress(OSError):
            status = self.confined.stat(relative)
            if is_file(status) and status.st_size:
                how = ASK if status.st_size == length else COMPARE
                self.journal.note(relative, Content(status.st_size, how))

    def adopt_all(self, *suffixes: str) -> None:
        """Note all files as an earlier version's, which kept no records; slow."""
        for top, _, files in os.walk(self.folder):
            for file in files:
                if file.endswith(suffixes) and not file.startswith("."):
                    self.adopt(self.relative(Path(top, file)), length=None)

    def prove(self, relative: str) -> Proof:
        """Find out whether a file is ours; reads it, so it is slow.  Raises OSError."""
        known = self.journal.get(relative)
        try:
            if known is None:
                there = self.confined.exists(relative)
                return Proof.FOREIGN if there else Proof.ABSENT
            status = self.confined.stat(relative)
            if not is_file(status):
                return Proof.FOREIGN
            if not known[0].proven:
                return Proof.UNPROVEN
            if all(content is None or content.size != status.st_size for content in known):
                return Proof.FOREIGN
            return Proof.OURS if self._content(relative) in known else Proof.FOREIGN
        except (FileNotFoundError, NotADirectoryError):
            return Proof.ABSENT
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                return Proof.FOREIGN
            raise

    def read(self, relative: str, most: int = MAX_STREAM) -> bytes:
        """Return a file's first ``most`` bytes.  Raises OSError."""
        with self._reading(relative) as descriptor:
            return b"".join(_pieces(descriptor, most))

    def create(self, relative: str) -> int:
        """Create a file and its folders, and return its descriptor.

        Raises Full, Occupied if the name is taken, or another OSError.
        """
        missing = self._missing(relative)
        self.check_room(BLOCK, files=1, folders=len(missing))
        try:
            self._make(missing)
            self.journal.note(relative, EMPTY)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
            try:
                return self.confined.open(relative, flags)
            except BaseException:
                self.journal.forget(relative)
                raise
        except FileExistsError as error:
            self.tidy(relative)
            raise self.occupied(relative) from error
        except BaseException:
            self.tidy(relative)
            raise

    def replace(
        self, relative: str, data: bytes, *, time: int | None = None, durable: bool = False
    ) -> None:
        """Write ``data`` to a file, wholly or not at all; set its ``time`` (ns) if given.

        A ``durable`` file survives a power cut, and may exceed the limits.  Raises Full, Occupied
        or another OSError.
        """
        with self._writing:
            self._check_open()
            now = Content.of(data)
            proof = self.prove(relative)
            alike = proof is Proof.UNPROVEN and self.size(relative) == now.size
            if alike and self._content(relative) == now:
                self.journal.note(relative, now)
                return
            if proof in (Proof.UNPROVEN, Proof.FOREIGN):
                raise self.occupied(relative)
            before = self._content(relative) if proof is Proof.OURS else None
            missing = self._missing(relative)
            if not durable:
                grown = blocks(now.size) - (blocks(before.size) if before else 0)
                self.check_room(grown, files=0 if before else 1, folders=len(missing))
            try:
                self._make(missing)
                self._write(relative, data, (now, before), time, durable=durable)
            except BaseException:
                self.tidy(relative)
                raise

    def _write(
        self,
        relative: str,
        data: bytes,
        known: tuple[Content, Content | None],
        time: int | None,
        *,
        durable: bool,
    ) -> None:
        folder, slash, _ = relative.rpartition("/")
        # A random name, which no existing file has.
        temporary = f"{folder}{slash}.diffc-{secrets.token_hex(8)}.part"
        with self.journal.temporary(temporary), unfinished(self.folder / temporary):
            descriptor = self.confined.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                try:
                    write_all(descriptor, data)
                    if durable:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                if time is not None:
                    self.confined.touch(temporary, time)
                self._put(temporary, relative, *known)
            except BaseException:
                with contextlib.suppress(OSError):
                    self.confined.unlink(temporary)
                raise

    def _put(self, new: str, old: str, now: Content, before: Content | None) -> None:
        """Rename a file to a name whose present content is ``before``; None if it is free."""
        self.journal.note(old, now, before)
        try:
            if before is not None:
                self.confined.replace(new, old)
            else:
                self.confined.put(new, old)
        except BaseException as error:
            if before is not None:
                self.journal.unnote(old, before)
            else:
                self.journal.forget(old)
            if isinstance(error, FileExistsError):
                raise self.occupied(old) from error
            raise

    def settle(self, newer: str, older: str) -> bool:
        """Replace a stream by its newer version; tell whether that was done.  Slow.

        Raises Occupied or another OSError.
        """
        with self._writing:
            self._check_open()
            if self.prove(newer) is not Proof.OURS:
                return False
            now = self._content(newer)
            proof = self.prove(older)
            if proof in (Proof.FOREIGN, Proof.UNPROVEN):
                raise self.occupied(older)
            before = self._content(older) if proof is Proof.OURS else None
            self._put(newer, older, now, before)
            self.journal.forget(newer)
            return True

    def remove(self, relative: str) -> bool:
        """Delete a file if it is unchanged since it was written here; tell whether it is gone.

        Empty folders that were created here are deleted too.  Slow.  Raises OSError.
        """
        with self._writing:
            if self.journal.get(relative) is None:
                return not self.confined.exists(relative)
            proof = self.prove(relative)
            if proof is Proof.UNPROVEN:
                return False
            if proof is Proof.OURS:
                self.confined.unlink(relative)
            self.journal.forget(relative)
            self.tidy(relative)
            return proof is not Proof.FOREIGN

    def clear(self, place: Place) -> tuple[list[str], bool]:
        """Delete our files of a place; return the foreign ones, and whether any was deleted.

        Slow.  Raises OSError.
        """
        before, kept = self.journal.files, []
        while (beside := self.beside(place)) is not None:
            if not self.remove(beside):
                break
        for path in (place.stream, place.picture):
            relative = self.relative(path)
            if not self.remove(relative):
                kept.append(relative)
        return kept, self.journal.files < before

    def tidy(self, relative: str) -> None:
        """Delete the parent folders that are empty and were created here."""
        parts = relative.split("/")[:-1]
        for count in range(len(parts), 0, -1):
            folder = "/".join(parts[:count])
            number = self.journal.folder(folder)
            if number is None:
                break
            try:
                if self.confined.stat(folder).st_ino == number:
                    self.confined.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                break  # not empty
            self.journal.forget_folder(folder)

    def occupied(self, relative: str) -> Occupied:
        """Return the error for a foreign file, and forget the file."""
        self._forget_changed(relative)
        return Occupied(f"{relative} was not written here, or was changed since; it is kept")

    def _forget_changed(self, relative: str) -> None:
        known = self.journal.get(relative)
        if known is not None and known[0].proven:
            self.journal.forget(relative)

    def _missing(self, relative: str) -> list[str]:
        """Return the folders that have to be created for a file."""
        parts = relative.split("/")[:-1]
        missing: list[str] = []
        for count in range(len(parts), 0, -1):
            folder = "/".join(parts[:count])
            if self.confined.exists(folder):
                break
            missing.insert(0, folder)
        return missing

    def _make(self, folders: list[str]) -> None:
        for folder in folders:
            with contextlib.suppress(FileExistsError):
                number = self.confined.mkdir(folder)
                try:
                    self.journal.note_folder(folder, number)
                except BaseException:
                    self.confined.rmdir(folder)
                    raise

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(f"{self.folder}: nothing more is written there")

    @contextlib.contextmanager
    def _reading(self, relative: str) -> Iterator[int]:
        descriptor = self.confined.open(relative, os.O_RDONLY)
        try:
            if not is_file(os.fstat(descriptor)):
                raise OSError(errno.ENXIO, "it is not a file")
            yield descriptor
        finally:
            os.close(descriptor)

    def _content(self, relative: str) -> Content:
        """Return a file's size and digest.  Raises OSError."""
        with self._reading(relative) as descriptor:
            running, size = hashlib.sha256(), 0
            for piece in _pieces(descriptor, os.fstat(descriptor).st_size):
                running.update(piece)
                size += len(piece)
            return Content(size, digest_of(running))


def _pieces(descriptor: int, most: int) -> Iterator[bytes]:
    while most > 0 and (piece := os.read(descriptor, min(PIECE, most))):
        most -= len(piece)
        yield piece
