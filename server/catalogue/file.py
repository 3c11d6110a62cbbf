"""A file that is served: where it is, which version of it, and how to open that and no other."""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from diffc_stream.errors import RequestRefused
from diffc_stream.opening import Identity, is_passing, open_resolved
from diffc_stream.session import Code

RETRY_AFTER = 5.0
"""Seconds after which to come back when a disk did not answer, or something had run out."""


class File(NamedTuple):
    """A file as it was when it was asked for."""

    path: Path
    """Without links."""
    version: Identity

    @classmethod
    def at(cls, path: Path) -> File:
        """Return what is at a path.  Raises RequestRefused if it has gone, or for the moment."""
        try:
            version = Identity.at(path)
        except OSError as error:
            raise later() from error
        if version is None:
            raise RequestRefused(Code.UNKNOWN_IMAGE, "there is no such picture")
        return cls(path, version)

    def open(self) -> BufferedReader:
        """Open it for reading.  Raises OSError, or RequestRefused if another is there by now."""
        file = open_resolved(self.path)
        try:
            self.check(Identity.opened(file))
        except BaseException:
            file.close()
            raise
        return file

    def check(self, version: Identity) -> None:
        """Raise RequestRefused if what was opened is not this version.

        It may be another picture, and must not be sent or kept as this one.
        """
        if version != self.version:
            raise RequestRefused(Code.BUSY, "it is being replaced", retry=True, after=1.0)


def later() -> RequestRefused:
    """Return the refusal for what says nothing about the picture: there will be another time."""
    message = "it cannot be read at the moment"
    return RequestRefused(Code.BUSY, message, retry=True, after=RETRY_AFTER)


def refused(error: OSError) -> RequestRefused:
    """Return what to answer to who asked for a file that could not be read."""
    if is_passing(error):
        return later()
    return RequestRefused(Code.UNREADABLE_IMAGE, "it cannot be read")
