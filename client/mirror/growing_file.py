"""A stream that grows in a file of a mirror's folder.

Unlike :class:`FileStream` it creates no file before there are bytes, unless it is told to, and
never writes to a file that the mirror did not create, or that another program has changed, even
while it grows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Self

from diffc_stream.container import Header
from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.session import MAX_STREAM
from diffc_stream.session.prefix import DIGITS

from ..decoding.header import header_of
from ..storage.partial_stream import lock
from ..storage.shielded import shielded
from .confined_folder import is_file
from .content import ASK, EMPTY, Content, digest_of
from .journal import write_all
from .owned_folder import PIECE, OwnedFolder
from .paths import blocks


class GrowingStream:
    """A prefix in a file of a mirror's folder."""

    def __init__(self, owned: OwnedFolder, relative: str) -> None:
        """Open the file, if there is one; reads it, so it is slow.

        Raises Occupied if it is not ours, or another OSError, also if another process is writing
        to it.
        """
        self._owned = owned
        self.relative = relative
        self._descriptor: int | None = None
        self._running = hashlib.sha256()
        self._there = (0, 0, 0, 0, 0)
        self._asked = False
        self.length = 0
        self.doubtful = 0
        """Length of an existing file that has yet to be compared with the sender's bytes; they do
        not count as held before that."""
        try:
            descriptor = owned.confined.open(relative, os.O_RDWR | os.O_APPEND)
        except (FileNotFoundError, NotADirectoryError):
            owned.journal.forget(relative)
            return
        try:
            self._open(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _open(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        known = self._owned.journal.get(self.relative)
        # A file with a second hard link may be a file of the user.
        if known is None or not is_file(status) or status.st_nlink > 1:
            raise self._owned.occupied(self.relative)
        lock(descriptor, self.relative)
        if status.st_size > MAX_STREAM or not (status.st_size or known[0].proven):
            raise self._owned.occupied(self.relative)
        if known[0].proven or known[0].digest == ASK:
            self._running = _hash(descriptor, status.st_size)
            held = Content(status.st_size, digest_of(self._running))
            self._asked = not known[0].proven
            if not (self._asked and status.st_size == known[0].size) and held not in known:
                raise self._owned.occupied(self.relative)
            self.length = status.st_size
        else:
            self.doubtful = status.st_size
        self._there = _stamp(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def prefix(self) -> str | None:
        """Hash of the bytes held; None if there are none."""
        return self._running.hexdigest()[:DIGITS] if self.length else None

    @property
    def header(self) -> Header | None:
        """The stream's header; None until it is complete.

        For a file that has yet to be compared it is the file's, so that the sender uses the same
        model, and can send the same bytes.
        """
        return header_of(self._read(min(MOST_HEADER, max(self.length, self.doubtful))))

    def read(self) -> bytes:
        """Return all bytes held."""
        return self._read(self.length)

    def prepare(self) -> None:
        """Create the file if there is none, to see whether it can be written; raises OSError.

        Closing removes it if no byte comes.
        """
        if self._descriptor is None:
            self._create()

    def append(self, data: bytes) -> None:
        """Append the bytes that follow.

        Raises Full, Occupied if another program has changed the file or the file differs from the
        stream, or another OSError; then the file is unchanged.
        """
        if self.doubtful:
            data = self._compare(data)
        if not data:
            return
        if self.length + len(data) > MAX_STREAM:
            raise OSError(f"{self.relative}: more bytes than a stream has")
        self.confirm()
        self.prepare()
        try:
            self._grow(data)
        except BaseException:
            if not self.length:
                self.close()
            raise

    def _grow(self, data: bytes) -> None:
        self._check()
        assert self._descriptor is not None
        journal = self._owned.journal
        running = self._running.copy()
        running.update(data)
        before = Content(self.length, digest_of(self._running))
        now = Content(self.length + len(data), digest_of(running))
        self._owned.check_room(blocks(now.size) - blocks(before.size))
        journal.note(self.relative, now, before)
        try:
            write_all(self._descriptor, data)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before.size)
                self._there = _stamp(os.fstat(self._descriptor))
            journal.unnote(self.relative, before)
            raise
        self._there = _stamp(os.fstat(self._descriptor))
        self._running, self.length = running, now.size

    def confirm(self) -> None:
        """Note an earlier version's file as ours, because the sender has confirmed its hash."""
        if self._asked:
            self._asked = False
            self._owned.journal.note(self.relative, self._content)

    def restart(self) -> None:
        """Drop all bytes held.  Raises Occupied if they are not ours, or another OSError."""
        if self.doubtful or self._asked:
            raise self._owned.occupied(self.relative)
        if self._descriptor is not None:
            self._check()
            self._owned.journal.note(self.relative, EMPTY, self._content)
            os.ftruncate(self._descriptor, 0)
            self._there = _stamp(os.fstat(self._descriptor))
        self._running = hashlib.sha256()
        self.length = 0

    def close(self) -> None:
        """Sync to the disk and close; a file without a byte is removed."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        finally:
            if not self.length and not self.doubtful:
                self._owned.remove(self.relative)

    @property
    def _content(self) -> Content:
        return Content(self.length, digest_of(self._running))

    def _create(self) -> None:
        self._descriptor = self._owned.create(self.relative)
        lock(self._descriptor, self.relative)
        self._there = _stamp(os.fstat(self._descriptor))

    def _compare(self, data: bytes) -> bytes:
        """Compare ``data`` with the rest of the file, and return what goes beyond the file."""
        assert self._descriptor is not None
        part = data[: self.doubtful - self.length]
        os.lseek(self._descriptor, self.length, os.SEEK_SET)
        if os.read(self._descriptor, len(part)) != part:
            raise self._owned.occupied(self.relative)
        self._running.update(part)
        self.length += len(part)
        if self.length == self.doubtful:
            self._check()
            self._owned.journal.note(self.relative, self._content)
            self.doubtful = 0
        return data[len(part) :]

    def _check(self) -> None:
        """Raise Occupied if another program has changed or replaced the file."""
        assert self._descriptor is not None
        try:
            there = self._owned.confined.stat(self.relative)
        except FileNotFoundError:
            self._owned.journal.forget(self.relative)
            raise OSError(f"{self.relative} has disappeared while it was received") from None
        if _stamp(there) == self._there:
            return
        held = os.fstat(self._descriptor)
        if (
            (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino)
            or (held.st_size, held.st_nlink) != (self.length, 1)
            or digest_of(_hash(self._descriptor, self.length)) != digest_of(self._running)
        ):
            raise self._owned.occupied(self.relative)
        self._there = _stamp(held)  # only its times have changed

    def _read(self, most: int) -> bytes:
        if self._descriptor is None:
            return b""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.read(self._descriptor, most)


@contextlib.asynccontextmanager
async def growing(
    owned: OwnedFolder, relative: str, *, anew: bool = False
) -> AsyncIterator[GrowingStream]:
    """Open a stream on a thread, and close it on one even if the task is cancelled.

    With ``anew`` all bytes held are dropped.  Raises as GrowingStream does.
    """
    opened: list[GrowingStream] = []

    def work() -> None:
        opened.append(kept := GrowingStream(owned, relative))
        if anew:
            kept.restart()

    try:
        await shielded(work)
        yield opened[0]
    finally:
        for kept in opened:
            await shielded(kept.close)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _hash(descriptor: int, size: int) -> hashlib._Hash:
    running = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while size > 0 and (piece := os.read(descriptor, min(size, PIECE))):
        running.update(piece)
        size -= len(piece)
    return running
