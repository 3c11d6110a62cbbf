"""The formats that pictures are written in, chosen by the suffix of a file's name.

The code that writes them is imported when it is used, so that checking a name is fast.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffc_stream.container.metadata import NOTHING as UNKNOWN
from diffc_stream.container.metadata import Metadata
from diffc_stream.destination import opened
from diffc_stream.errors import DestinationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format and its limits."""

    name: str
    most_side: int
    """Pixels of the longest side that it can hold."""
    quality: int | None = None
    """Default quality, 1 to 100; None if the format is lossless."""


_PNG = Format(name="PNG", most_side=2**31 - 1)
_JPEG = Format(name="JPEG", most_side=65_500, quality=92)
_TIFF = Format(name="TIFF", most_side=2**31 - 1)

FORMATS = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".webp": Format(name="WEBP", most_side=16_383, quality=92),
    ".avif": Format(name="AVIF", most_side=65_535, quality=85),
    ".tif": _TIFF,
    ".tiff": _TIFF,
}
"""Formats by suffix.  Names without a suffix, such as pipes and standard output, get PNG."""


def format_of(path: Path, quality: int | None = None) -> Format:
    """Return the format for a file's name, with ``quality`` if that is given.

    Raises DestinationError if the format is unknown, or if it is lossless and a quality is given.
    """
    found = FORMATS.get(path.suffix.lower(), None if path.suffix else _PNG)
    if found is None:
        known = ", ".join(FORMATS)
        raise DestinationError(f"{path}: pictures are written as {known}, not {path.suffix}")
    from PIL import Image

    Image.init()
    if found.name not in Image.SAVE:
        raise DestinationError(f"{path}: {found.name} is not written by the Pillow that is here")
    if quality is None:
        return found
    if found.quality is None:
        raise DestinationError(f"{path}: {found.name} has no quality to choose: it loses nothing")
    return replace(found, quality=quality)


def picture_bytes(
    image: NDArray[np.uint8],
    kind: Format,
    text: Mapping[str, str] | None = None,
    metadata: Metadata = UNKNOWN,
) -> bytes:
    """Return ``image`` (H, W, 3) as the bytes of a file in the format ``kind``.

    PNG stores ``text`` by keyword, see :func:`~diffc_stream.picture.png_bytes`; other formats store
    it as one description.  ``metadata`` says how the picture was taken.  Raises DestinationError if
    the picture is too large for the format.
    """
    if max(image.shape[:2]) > kind.most_side:
        side = f"{kind.most_side:,} pixels a side"
        raise DestinationError(f"{kind.name} holds no picture of more than {side}")
    from PIL import Image

    from diffc_stream.imaging.capture import exif_of
    from diffc_stream.picture import png_bytes

    if kind.name == "PNG":
        return png_bytes(image, text, metadata)
    description = "\n".join(f"{key}: {value}" for key, value in (text or {}).items())
    told: dict[str, Any] = {}
    if description or metadata:
        told = {"exif": exif_of(metadata, more=description, flat=kind.name == "TIFF")}
    buffer = io.BytesIO()
    picture = Image.fromarray(image.copy(order="C"))
    match kind.name:
        case "TIFF":
            picture.save(buffer, kind.name, compression="tiff_adobe_deflate", **told)
        case "JPEG" | "AVIF":
            # Colour at full resolution, because that is what the stream transmitted.
            full = {"subsampling": "4:4:4", "quality": kind.quality, **told}
            picture.save(buffer, kind.name, **full)
        case _:
            picture.save(buffer, kind.name, quality=kind.quality, **told)
    return buffer.getvalue()


def save_picture(
    path: Path,
    image: NDArray[np.uint8],
    *,
    text: Mapping[str, str] | None = None,
    metadata: Metadata = UNKNOWN,
    quality: int | None = None,
) -> None:
    """Write ``image`` (H, W, 3) to ``path``, see :func:`~diffc_stream.destination.opened`.

    Raises DestinationError, see :func:`format_of` and :func:`picture_bytes`, or OSError.
    """
    data = picture_bytes(image, format_of(path, quality), text, metadata)
    with opened(path) as file:
        file.write(data)
