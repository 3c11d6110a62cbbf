"""Streams and pictures as files, or on standard input, which is ``-``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from diffc_stream.cli.output import Advance
from diffc_stream.container.reader import checked
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


F = TypeVar("F", bound=Fed)


def fed(
    make: Callable[[], F], data: bytes, path: Path, advance: Advance, *, damaged: bool
) -> tuple[F, str | None]:
    """Return a decoder that has been fed the stream of the file ``path``, and what is wrong.

    ``make`` returns a new one; ``advance`` shows how far it is.  Of a stream that says what cannot
    be, the bytes up to the last good check are decoded, or, if it may be ``damaged``, those before.
    Then it is told of in a warning, which is returned.  Raises what the decoder does.
    """
    decoder = make()
    try:
        _feed(decoder, data, advance)
    except StreamError as error:
        if damaged:
            if not decoder.ready:
                raise
            warning = f"{error}; stopped there"
        else:
            good = checked(data)
            if len(good) == len(data):
                raise
            decoder = make()
            _feed(decoder, good, advance)
            if not decoder.ready:
                raise
            warning = f"{error}; decoding the {len(good)} bytes before it (--damaged goes on)"
        print(f"diffc: warning: {path}: {warning}", file=sys.stderr)
        return decoder, warning
    return decoder, None


def _feed(decoder: Fed, data: bytes, advance: Advance) -> None:
    for start in range(0, len(data), 1024):
        decoder.feed(data[start : start + 1024])
        advance(decoder.bytes_received, f"{decoder.steps} steps")
