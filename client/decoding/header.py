"""The header of a stream, from its first bytes."""

from __future__ import annotations

from diffc_stream.container import Header, StreamReader
from diffc_stream.errors import StreamError


def header_of(start: bytes) -> Header | None:
    """Return the header at the start of a stream; None if it is incomplete or not valid."""
    try:
        first = next(StreamReader().feed(start), None)
    except StreamError:
        return None  # its decoder raises the error
    return first if isinstance(first, Header) else None
