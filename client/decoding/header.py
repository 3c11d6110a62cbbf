"""The header of a stream, from its first bytes."""

from __future__ import annotations

from diffc_stream.container import Header
from diffc_stream.errors import StreamError


def header_of(start: bytes) -> Header | None:
    """Return the header at the start of a stream; None if it is incomplete or not valid."""
    try:
        return Header.at(start)
    except StreamError:
        return None  # its decoder raises the error
