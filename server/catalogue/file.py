"""A file that is served: its path and version, and how to open exactly that version."""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from diffc_stream.errors import RequestRefused
from diffc_stream.opening import Identity, is_passing, open_resolved
from diffc_stream.session import Code

RETRY_AFTER = 5.0
"""Seconds after which to try again if a disk does not answer, or descriptors or memory lack."""


class File(NamedTuple):
    """A file in the version that was there when it was asked for."""

    path: Path
    """With links resolved."""
    version: Identity

    @classmethod
    def at(cls, path: Path) -> File:
        """Return the file at a path.  Raises RequestRefused if it is missing or unreadable now."""
        try:
            version = Identity.at(path)
        except OSError as error:
            raise try_later() from error
        if version is None:
            raise RequestRefused(Code.UNKNOWN_IMAGE, "there is no such picture")
        return cls(path, version)

    def open(self) -> BufferedReader:
        """Open it for reading.  Raises OSError, or RequestRefused if it has been replaced."""
        file = open_resolved(self.path)
        try:
            self.check(Identity.opened(file))
        except BaseException:
            file.close()
            raise
        return file

    def check(self, version: Identity) -> None:
        """Raise RequestRefused if what was opened is not this version.

        Another version may be another picture, which must not be sent or stored as this one.
        """
        if version != self.version:
            raise RequestRefused(Code.BUSY, "it is being replaced", retry=True, after=1.0)


def try_later() -> RequestRefused:
    """Return the refusal for a temporary failure, which says nothing about the picture."""
    message = "it cannot be read at the moment"
    return RequestRefused(Code.BUSY, message, retry=True, after=RETRY_AFTER)


def unreadable(error: OSError) -> RequestRefused:
    """Return the refusal for a file that could not be read."""
    if is_passing(error):
        return try_later()
    return RequestRefused(Code.UNREADABLE_IMAGE, "it cannot be read")
