"""Streams and pictures as files, or on standard input, which is ``-``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
