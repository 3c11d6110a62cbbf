"""Read the pictures of a clip: of a video, an animation, or a folder.

Videos are decoded by PyAV (the extra ``video``); animations (GIF, WebP, PNG) by Pillow.  A folder's
picture files are the pictures, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from diffc_stream.clips.group import MOST_PIXELS
from diffc_stream.clips.showing import NEEDED
from diffc_stream.container.clip import LONGEST, MOST_PICTURES
from diffc_stream.errors import PictureTooLarge, UnreadablePicture
from diffc_stream.picture import PIXEL_LIMIT, load_picture

if TYPE_CHECKING:
    import av
    from av.video.frame import VideoFrame

Picture = NDArray[np.uint8]

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp")
"""Suffixes of files that are taken for videos."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".avif")
"""Suffixes of a folder's files that are taken for its pictures."""
RATE = 12.0
"""Pictures a second, unless somebody says otherwise."""
SIDE = 320
"""Pixels of the longest side, unless somebody says otherwise."""
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
"""Formats that FFmpeg may open: none that can name further files, or addresses, to be opened."""
_HIGH_DEFINITION = 720
"""Videos of so many rows have the colours of ITU-R BT.709 where they do not say."""
_BT709 = 1
_BT601 = 5
_UNSAID = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """Pictures of one size that follow one another."""

    pictures: list[Picture]
    """8-bit sRGB, (H, W, 3) each."""
    milliseconds: int
    """How long each is shown."""


def is_footage(path: Path) -> bool:
    """Return whether ``path`` is a folder, or has the name of a video."""
    return path.is_dir() or path.suffix.lower() in VIDEOS


def load_footage(
    path: Path, *, rate: float = RATE, seconds: float | None = None, side: int = SIDE
) -> Footage:
    """Read a clip from a video, an animation or a folder.

    It gets ``rate`` pictures a second, above 0, for ``seconds`` from its beginning, or all of it;
    the files of a folder are taken for pictures of that rate.  Pictures whose longer side has more
    than ``side`` pixels are reduced to that.

    Raises UnreadablePicture (no such file, no video, no pictures, pictures of several sizes, PyAV
    missing) or PictureTooLarge (more pictures or pixels than a clip can have).  Messages are one
    line and name the file.
    """
    if path.is_dir():
        shown = _of_folder(path, rate)
    elif path.suffix.lower() in VIDEOS:
        shown = _of_video(path)
    else:
        shown = _of_animation(path)
    pictures: list[Picture] = []
    for picture in _at_rate(shown, rate, seconds):
        pictures.append(_reduced(picture, side))
        height, width = pictures[0].shape[:2]
        if pictures[-1].shape != pictures[0].shape:
            raise UnreadablePicture(f"{path}: pictures of several sizes")
        if len(pictures) > MOST_PICTURES or len(pictures) * height * width > MOST_PIXELS:
            raise PictureTooLarge(
                f"{path}: more than {MOST_PICTURES:,} pictures or {MOST_PIXELS:,} pixels in all: "
                "take fewer seconds, fewer pictures a second, or smaller ones"
            )
    if len(pictures) < 2:
        raise UnreadablePicture(f"{path}: a clip has at least two pictures, not {len(pictures)}")
    return Footage(pictures=pictures, milliseconds=min(max(round(1000 / rate), 1), LONGEST))


def _at_rate(
    shown: Iterator[tuple[float, Picture]], rate: float, seconds: float | None
) -> Iterator[Picture]:
    """Yield what is shown at every 1 / ``rate`` of a second, given pictures and their times.

    The last picture's time is the end: it is not shown.
    """
    count = 0
    for (_, picture), (end, _) in pairwise(shown):
        while count / rate < end - 1e-6:
            if seconds is not None and count / rate >= seconds - 1e-6:
                return
            yield picture
            count += 1


def _of_folder(path: Path, rate: float) -> Iterator[tuple[float, Picture]]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    picture = np.zeros((0, 0, 3), np.uint8)
    for number, file in enumerate(files):
        picture = load_picture(file)
        yield number / rate, picture
    if files:
        yield len(files) / rate, picture


def _of_animation(path: Path) -> Iterator[tuple[float, Picture]]:
    load_picture(path)  # raises all that can be said of a file that is no picture
    time = 0.0
    picture = np.zeros((0, 0, 3), np.uint8)
    with _named(path), Image.open(path) as image:
        if getattr(image, "n_frames", 1) < 2:
            raise UnreadablePicture(f"{path}: a single picture, not an animation")
        for frame in ImageSequence.Iterator(image):
            white = Image.new("RGBA", frame.size, "white")
            picture = np.array(Image.alpha_composite(white, frame.convert("RGBA")).convert("RGB"))
            yield time, picture
            time += max(float(frame.info.get("duration", 0) or 100), 1.0) / 1000
    yield time, picture


def _of_video(path: Path) -> Iterator[tuple[float, Picture]]:
    try:
        import av
    except ImportError as error:
        raise UnreadablePicture(f"{path}: {NEEDED}") from error
    with (
        _named(path),
        path.open("rb") as file,
        av.open(file, options={"format_whitelist": _CONTAINERS}) as video,
    ):
        yield from _decoded(path, video)


def _decoded(path: Path, video: av.container.InputContainer) -> Iterator[tuple[float, Picture]]:
    if not video.streams.video:
        raise UnreadablePicture(f"{path}: no video in it")
    stream = video.streams.video[0]
    stream.thread_type = "AUTO"
    first: float | None = None
    time, length = 0.0, 0.04
    picture = np.zeros((0, 0, 3), np.uint8)
    for frame in video.decode(stream):
        if frame.width * frame.height > PIXEL_LIMIT:
            raise PictureTooLarge(f"{path}: a video of {frame.width}x{frame.height} pixels")
        if frame.time is None:
            continue
        first = frame.time if first is None else first
        length = max(frame.time - first - time, 0.001)
        time = frame.time - first
        picture = _upright(frame)
        yield time, picture
    yield time + length, picture


def _upright(frame: VideoFrame) -> Picture:
    space = int(frame.colorspace)
    if space == _UNSAID:
        space = _BT709 if frame.height >= _HIGH_DEFINITION else _BT601
    picture = np.asarray(frame.to_ndarray(format="rgb24", src_colorspace=space), np.uint8)
    return np.rot90(picture, round(frame.rotation / 90) % 4)


def _reduced(picture: Picture, side: int) -> Picture:
    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer <= side:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * side / longer)), max(1, round(height * side / longer))
    return np.array(
        Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX)
    )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn errors of decoders into one that names the file."""
    try:
        yield
    except (UnreadablePicture, PictureTooLarge):
        raise
    except MemoryError as error:
        raise PictureTooLarge(f"{path}: not enough memory for this video") from error
    except OSError as error:
        raise UnreadablePicture(f"{path}: {error.strerror or 'damaged'}") from error
    except Exception as error:
        raise UnreadablePicture(f"{path}: damaged: {type(error).__name__}") from error
