"""Streams and pictures as files, or on standard input, which is ``-``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffc_stream.cli.output import Advance
from diffc_stream.destination import STANDARD, read_standard
from diffc_stream.errors import PictureTooLarge, StreamError
from diffc_stream.picture import MOST_BYTES as MOST_PICTURE
from diffc_stream.picture import load_photograph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffc_stream.container import Metadata

MOST_BYTES = 2**30
"""A stream file larger than this is refused."""


def read(path: Path) -> bytes:
    """Return the bytes of a stream file.

    Raises StreamError beyond the limit, DestinationError on a terminal, OSError.
    """
    if path == STANDARD:
        data = read_standard(MOST_BYTES + 1)
    else:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise StreamError(f"{path}: larger than {MOST_BYTES} bytes, not a stream")
    return data


def picture(path: Path) -> NDArray[np.uint8]:
    """Return a picture, (H, W, 3); raises what :func:`photograph` does."""
    return photograph(path)[0]


def photograph(path: Path) -> tuple[NDArray[np.uint8], Metadata]:
    """Return a picture, (H, W, 3), and how it was taken.

    Raises PictureError, DestinationError on a terminal, OSError.
    """
    if path != STANDARD:
        return load_photograph(path)
    data = read_standard(MOST_PICTURE + 1)
    if len(data) > MOST_PICTURE:
        raise PictureTooLarge(f"standard input: more than {MOST_PICTURE:,} bytes")
    return load_photograph(data)


class Fed(Protocol):
    """A decoder, of a picture or of a clip."""

    @property
    def bytes_received(self) -> int: ...

    @property
    def ready(self) -> bool: ...

    @property
    def steps(self) -> int: ...

    def feed(self, data: bytes) -> None: ...


def feed(decoder: Fed, data: bytes, path: Path, advance: Advance, *, damaged: bool) -> None:
    """Feed the stream of the file ``path`` to a decoder, and show how far it is.

    If the stream is ``damaged``, and something of it can be shown, the rest is left out with a
    warning.  Raises what the decoder does.
    """
    try:
        for start in range(0, len(data), 1024):
            decoder.feed(data[start : start + 1024])
            advance(decoder.bytes_received, f"{decoder.steps} steps")
    except StreamError as error:
        if not (damaged and decoder.ready):
            raise
        print(f"diffc: warning: {path}: {error}; stopped there", file=sys.stderr)
