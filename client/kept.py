"""The part of a stream that is here already.

A prefix of a stream is a stream, so that what is kept is simply what has come, and goes on where
it ends, after a reconnect as after a restart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from diffc_stream.container import Header, StreamReader
from diffc_stream.container.grammar import crc32c
from diffc_stream.errors import NotAStream, StreamError
from diffc_stream.session import MAX_STREAM

LONGEST_HEADER = 32
"""Bytes; a header is shorter."""


class Kept(Protocol):
    """A growing prefix of a stream."""

    @property
    def length(self) -> int:
        """Bytes held."""
        ...

    @property
    def checksum(self) -> int:
        """CRC32C of them."""
        ...

    @property
    def model(self) -> str | None:
        """Fingerprint of the model that they name; None as long as they have no whole header."""
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
        self.checksum = 0

    @property
    def length(self) -> int:
        """Bytes held."""
        return len(self._data)

    @property
    def model(self) -> str | None:
        """Fingerprint of the model that they name; None as long as they have no whole header."""
        return _model(bytes(self._data[:LONGEST_HEADER]))

    def read(self) -> bytes:
        """Return all bytes held."""
        return bytes(self._data)

    def append(self, data: bytes) -> None:
        """Take the bytes that follow."""
        self._data += data
        self.checksum = crc32c(data, self.checksum)


class FileStream:
    """A prefix kept in a file, which only ever grows at its end.

    The bytes are handed to the operating system at once, and written through to the disk when
    the file is closed.  Should a power cut tear the end off, the checksum tells.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.  Raises OSError, or NotAStream for a file beyond all limits."""
        self._path = path
        self._file: BinaryIO = path.open("a+b")
        held = self._file.tell()
        if held > MAX_STREAM:
            self._file.close()
            raise NotAStream(f"{path} has {held} bytes, too many for a stream")
        self.length = 0
        self.checksum = 0
        data = self.read()
        self.length, self.checksum = len(data), crc32c(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def model(self) -> str | None:
        """Fingerprint of the model that they name; None as long as they have no whole header."""
        self._file.seek(0)
        return _model(self._file.read(LONGEST_HEADER))

    def read(self) -> bytes:
        """Return all bytes held."""
        self._file.seek(0)
        return self._file.read(MAX_STREAM)

    def append(self, data: bytes) -> None:
        """Take the bytes that follow.  Raises OSError, for instance when the disk is full."""
        self._file.write(data)
        self._file.flush()
        self.length += len(data)
        self.checksum = crc32c(data, self.checksum)

    def restart(self) -> None:
        """Drop all bytes held."""
        self._file.truncate(0)
        self.length = self.checksum = 0

    def close(self) -> None:
        """Write through to the disk and close; a file that never got a byte is removed."""
        if self._file.closed:
            return
        with self._file:
            os.fsync(self._file.fileno())
        if self.length == 0:
            self._path.unlink(missing_ok=True)


def _model(start: bytes) -> str | None:
    try:
        first = next(StreamReader().feed(start), None)
    except StreamError:
        return None  # none of ours: whoever decodes it says so
    return first.model if isinstance(first, Header) else None
