"""The header of a stream, from its first bytes."""

from __future__ import annotations

from diffc_stream.container import Header, StreamReader
from diffc_stream.errors import StreamError

LONGEST_HEADER = 32
"""Bytes; a header is shorter."""


def header_of(start: bytes) -> Header | None:
    """Return the header that a stream starts with; None if it is not whole, or is none of ours."""
    try:
        first = next(StreamReader().feed(start), None)
    except StreamError:
        return None  # whoever decodes it says so
    return first if isinstance(first, Header) else None
