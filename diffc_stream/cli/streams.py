"""Streams as files."""

from __future__ import annotations

from pathlib import Path

from diffc_stream.errors import StreamError

MOST_BYTES = 2**30
"""A stream file larger than this is refused."""


def read(path: Path) -> bytes:
    """Return the bytes of a stream file.  Raises StreamError beyond the limit, OSError."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise StreamError(f"{path}: larger than {MOST_BYTES} bytes, not a stream")
    return data
