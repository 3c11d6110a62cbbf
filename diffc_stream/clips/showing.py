"""Write the pictures of a clip: as an animation, a video, or a folder of files.

The code that writes them is imported when it is used, so that checking a name is fast.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.destination import STANDARD, opened
from diffc_stream.errors import DestinationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

ANIMATIONS = {".webp": "WEBP", ".gif": "GIF", ".png": "PNG"}
"""Formats of animations by suffix."""
VIDEO = ".mp4"
LOSSY = ".webp"
"""The suffix of animations that have a quality to choose."""
QUALITY = 90
"""That quality, 1 to 100, unless somebody says otherwise."""
NEEDED = "videos need PyAV: pip install 'diffc-stream[video]'"
"""What to say where that is missing."""
NAMES = "a folder, .webp, .gif, .png or .mp4"
"""What a clip can be written as."""


def check(path: Path, quality: int | None = None) -> None:
    """Raise DestinationError unless a clip can be written to ``path``, by its name.

    A folder that is there has to be empty: pictures of another clip would mix with those of this
    one.  A ``quality``, 1 to 100, is for WebP only.  Raises OSError for a folder that cannot be
    read.
    """
    suffix = path.suffix.lower()
    if quality is not None and (path.is_dir() or suffix != LOSSY):
        raise DestinationError(f"{path}: a clip has a quality to choose as {LOSSY} only")
    if path.is_dir() and any(path.iterdir()):
        raise DestinationError(f"{path}: a clip is written to a new folder, or an empty one")
    if is_folder(path) or suffix in ANIMATIONS:
        return
    if suffix != VIDEO:
        raise DestinationError(f"{path}: a clip is written as {NAMES}")
    try:
        import av
    except ImportError as error:
        raise DestinationError(f"{path}: {NEEDED}") from error
    del av


def suits(path: Path) -> bool:
    """Return whether only a clip can be meant by the name ``path``, not a picture."""
    return path.is_dir() or path.suffix.lower() in (".gif", VIDEO)


def is_folder(path: Path) -> bool:
    """Return whether a name is that of a folder: there is one, or it may have one.

    For that it has no suffix, does not mean standard output, and nothing else has it.
    """
    return path.is_dir() or not (path.suffix or path == STANDARD or path.exists())


def save(
    path: Path, pictures: Sequence[Picture], milliseconds: int, *, quality: int | None = None
) -> None:
    """Write ``pictures``, 8-bit sRGB, (H, W, 3) each, to ``path``; each is shown ``milliseconds``.

    An animation or a video is written completely or not at all; a folder gets PNG files, numbered
    from 0.  ``quality``, 1 to 100, is that of a WebP.  Raises DestinationError (see :func:`check`)
    or OSError.
    """
    check(path, quality)
    if is_folder(path):
        from diffc_stream.picture import save_png

        path.mkdir(exist_ok=True)
        digits = len(str(len(pictures) - 1))
        for number, picture in enumerate(pictures):
            save_png(path / f"{number:0{digits}}.png", picture)
        return
    suffix = path.suffix.lower()
    data = (
        _video(pictures, milliseconds)
        if suffix == VIDEO
        else _animation(pictures, milliseconds, ANIMATIONS[suffix], quality or QUALITY)
    )
    with opened(path) as file:
        file.write(data)


def _animation(pictures: Iterable[Picture], milliseconds: int, kind: str, quality: int) -> bytes:
    from PIL import Image

    first, *others = (Image.fromarray(picture) for picture in pictures)
    buffer = io.BytesIO()
    lossy = {"quality": quality, "method": 4} if kind == "WEBP" else {}
    first.save(
        buffer,
        kind,
        save_all=True,
        append_images=others,
        duration=milliseconds,
        loop=0,
        **lossy,
    )
    return buffer.getvalue()


def _video(pictures: Sequence[Picture], milliseconds: int) -> bytes:
    import av
    import numpy as np

    height, width = pictures[0].shape[:2]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(1000, milliseconds))
        # 4:2:0, which every player knows, needs even sides: the last row or column is repeated.
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "14"}
        for picture in pictures:
            even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return buffer.getvalue()
