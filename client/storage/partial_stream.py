"""The prefix of a stream that has been received, in memory or in a file.

Every prefix of a stream is a valid stream, so the received bytes are stored as they are, and can be
continued where they end, after a reconnect or after a restart.
"""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from pathlib import Path
from typing import Protocol, Self

from diffc_stream.container import Header
from diffc_stream.container.grammar import MAGIC, MOST_HEADER
from diffc_stream.errors import NotAStream, NothingDecodable, PeerError, StreamError
from diffc_stream.session import MAX_STREAM, Code, PrefixHash
from diffc_stream.transport.locks import try_lock

from ..decoding.header import header_of


class Kept(Protocol):
    """A growing prefix of a stream."""

    @property
    def length(self) -> int:
        """How many bytes are held."""
        ...

    @property
    def prefix(self) -> str | None:
        """Hash of the bytes held, see :class:`PrefixHash`; None if there are none."""
        ...

    @property
    def header(self) -> Header | None:
        """The stream's header; None until it is complete."""
        ...

    def read(self) -> bytes:
        """Return all bytes held."""
        ...

    def append(self, data: bytes) -> None:
        """Append the bytes that follow."""
        ...


class MemoryStream:
    """A prefix in memory."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._hash = PrefixHash()

    @property
    def length(self) -> int:
        """How many bytes are held."""
        return len(self._data)

    @property
    def prefix(self) -> str | None:
        """Hash of the bytes held; None if there are none."""
        return str(self._hash) if self._data else None

    @property
    def header(self) -> Header | None:
        """The stream's header; None until it is complete."""
        return header_of(bytes(self._data[:MOST_HEADER]))

    def read(self) -> bytes:
        """Return all bytes held."""
        return bytes(self._data)

    def append(self, data: bytes) -> None:
        """Append the bytes that follow."""
        self._data += data
        self._hash.update(data)

    def restart(self) -> None:
        """Drop all bytes held."""
        self._data.clear()
        self._hash = PrefixHash()


class FileStream:
    """A prefix in a file, which grows at its end only.

    Bytes go to the operating system at once, and are synced to the disk when the file is closed.
    While it is open, other processes that use the same lock cannot write to it.  If a power cut
    damages its end, the sender's check of the hash shows that.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises OSError, also if another process is writing to it, or NotAStream if it is longer
        than any stream may be.
        """
        self._path = path
        self._made = not path.exists()
        self._file: FileIO = path.open("a+b", buffering=0)
        try:
            lock(self._file.fileno(), path)
            held = self._file.tell()
            if held > MAX_STREAM:
                raise NotAStream(f"{path} has {held} bytes, too many for a stream")
            data = self.read()
        except BaseException:
            self._file.close()
            raise
        self.length = len(data)
        self._hash = PrefixHash(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def prefix(self) -> str | None:
        """Hash of the bytes held; None if there are none."""
        return str(self._hash) if self.length else None

    @property
    def header(self) -> Header | None:
        """The stream's header; None until it is complete."""
        self._file.seek(0)
        return header_of(self._file.read(MOST_HEADER))

    def read(self) -> bytes:
        """Return all bytes held."""
        self._file.seek(0)
        return self._file.read(MAX_STREAM)

    def append(self, data: bytes) -> None:
        """Append the bytes that follow.

        Raises OSError, for instance when the disk is full; then none of them is kept.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self.length)
            error.filename = error.filename or str(self._path)
            raise
        self.length += len(data)
        self._hash.update(data)

    def restart(self) -> None:
        """Drop all bytes held."""
        self._file.truncate(0)
        self.length = 0
        self._hash = PrefixHash()

    def close(self) -> None:
        """Sync to the disk and close; a new file that got no bytes is removed."""
        if self._file.closed:
            return
        try:
            with self._file:
                os.fsync(self._file.fileno())
        finally:
            if self.length == 0 and self._made:
                self._path.unlink(missing_ok=True)


def outdated(error: Exception) -> bool:
    """Tell whether ``error`` means that the kept bytes are useless, and have to be dropped.

    NothingDecodable does not: too few bytes for a picture are a valid beginning.
    """
    if isinstance(error, PeerError):
        return error.code == Code.PREFIX_MISMATCH
    return isinstance(error, StreamError) and not isinstance(error, NothingDecodable)


def begins_stream(data: bytes) -> bool:
    """Tell whether a stream of any version may begin with ``data``; it may if that is empty."""
    return data.startswith(MAGIC[: len(data)])


def lock(descriptor: int, path: Path | str) -> None:
    """Lock a file against other writers until it is closed or this process ends.

    Raises OSError if another process holds the lock.
    """
    if not try_lock(descriptor):
        raise OSError(f"{path}: another process is writing to it")
