"""The formats that pictures are written in, told by the suffix of a file's name.

What writes them is imported where it is used: naming them should take no second.
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
    """A format, and what it can do."""

    name: str
    most_side: int
    """Pixels."""
    quality: int | None = None
    """1 to 100, unless told otherwise; None if nothing is lost."""


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
"""By suffix; what has none, as pipes and standard output, is PNG."""


def format_of(path: Path, quality: int | None = None) -> Format:
    """Return the format that a file's name asks for, with that quality if any is given.

    Raises DestinationError if it is not known, or loses nothing that a quality could be of.
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
    """Return ``image`` (H, W, 3) as the bytes of a file of that format.

    ``text`` is what PNG keeps by keyword, as :func:`~diffc_stream.picture.png_bytes` says, and the
    others as one description; ``metadata`` says how it was taken.  Raises DestinationError if the
    format holds no picture so large.
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
            # Colour at full resolution, which is where detail was sent for.
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
    """Write ``image`` (H, W, 3) where :func:`~diffc_stream.destination.opened` has it go.

    Raises DestinationError as :func:`format_of` and :func:`picture_bytes` do, or OSError.
    """
    data = picture_bytes(image, format_of(path, quality), text, metadata)
    with opened(path) as file:
        file.write(data)
