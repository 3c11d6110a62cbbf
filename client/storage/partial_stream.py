"""The part of a stream that is here already.

A prefix of a stream is a stream, so that what is kept is simply what has come, and goes on where
it ends, after a reconnect as after a restart.
"""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from pathlib import Path
from typing import Protocol, Self

from diffc_stream.container import Header
from diffc_stream.container.grammar import MAGIC
from diffc_stream.errors import NotAStream, NothingDecodable, PeerError, StreamError
from diffc_stream.session import MAX_STREAM, Code, PrefixHash
from diffc_stream.transport.locks import try_lock

from ..decoding.header import LONGEST_HEADER, header_of


class Kept(Protocol):
    """A growing prefix of a stream."""

    @property
    def length(self) -> int:
        """Bytes held."""
        ...

    @property
    def prefix(self) -> str | None:
        """Hash of them, see :class:`PrefixHash`; None if there are none."""
        ...

    @property
    def header(self) -> Header | None:
        """The stream's header; None as long as there is no whole one."""
        ...

    def read(self) -> bytes:
        """Return all bytes held."""
        ...

    def append(self, data: bytes) -> None:
        """Take the bytes that follow."""
        ...


class MemoryStream:
    """A prefix kept in memory."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._hash = PrefixHash()

    @property
    def length(self) -> int:
        """Bytes held."""
        return len(self._data)

    @property
    def prefix(self) -> str | None:
        """Hash of them; None if there are none."""
        return str(self._hash) if self._data else None

    @property
    def header(self) -> Header | None:
        """The stream's header; None as long as there is no whole one."""
        return header_of(bytes(self._data[:LONGEST_HEADER]))

    def read(self) -> bytes:
        """Return all bytes held."""
        return bytes(self._data)

    def append(self, data: bytes) -> None:
        """Take the bytes that follow."""
        self._data += data
        self._hash.update(data)


class FileStream:
    """A prefix kept in a file, which only ever grows at its end.

    The bytes are handed to the operating system at once, and written through to the disk when
    the file is closed.  While it is open, no other process may write to it.  Should a power cut
    tear the end off, the hash tells.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises OSError, among others if somebody is writing to it, or NotAStream for a file beyond
        all limits.
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
        """The stream's header; None as long as there is no whole one."""
        self._file.seek(0)
        return header_of(self._file.read(LONGEST_HEADER))

    def read(self) -> bytes:
        """Return all bytes held."""
        self._file.seek(0)
        return self._file.read(MAX_STREAM)

    def append(self, data: bytes) -> None:
        """Take the bytes that follow.

        Raises OSError, for instance when the disk is full; then none of them is held.
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
        """Write through to the disk and close; one made here that never got a byte is removed."""
        if self._file.closed:
            return
        try:
            with self._file:
                os.fsync(self._file.fileno())
        finally:
            if self.length == 0 and self._made:
                self._path.unlink(missing_ok=True)


def outdated(error: Exception) -> bool:
    """Tell whether ``error`` means that what was kept is of no use: begin anew without it.

    Too few bytes for a picture are as good a beginning as any.
    """
    if isinstance(error, PeerError):
        return error.code == Code.PREFIX_MISMATCH
    return isinstance(error, StreamError) and not isinstance(error, NothingDecodable)


def begins_stream(data: bytes) -> bool:
    """Tell whether ``data`` can be the beginning of a stream, of whatever version; nothing can."""
    return data.startswith(MAGIC[: len(data)])


def lock(descriptor: int, path: Path | str) -> None:
    """Keep other processes from writing, for as long as the file is open or this process lives.

    Raises OSError if one is.
    """
    if not try_lock(descriptor):
        raise OSError(f"{path}: somebody else is writing to it")
