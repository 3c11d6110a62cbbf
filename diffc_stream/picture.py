"""Pictures in and out: any ordinary photo in, PNG out.

Inside the project a picture is an array of shape (H, W, 3), uint8, sRGB, upright.  Reading does
whatever it takes to get there: palettes, grey, 16 bits and floats become 8-bit colour, EXIF
rotation is applied, an embedded colour profile is converted to sRGB, and what is transparent is
laid over white (the stream has no alpha channel, and white is what a page would show).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from diffc_stream.destination import writing
from diffc_stream.errors import PictureError, PictureTooLarge, UnreadablePicture

PIXEL_LIMIT = 100_000_000
"""Larger pictures are refused before they are decoded; so are streams of larger ones."""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "JPEG2000", "TIFF", "GIF", "BMP", "PPM")
"""What is read.  Pillow knows more, some by handing the file to other programs (EPS)."""

MOST_BYTES = 2**30
"""Of what comes through a pipe, or from memory: it is held there before it is decoded."""

_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
"""Of files of the ISO base media format that hold pictures coded by HEVC: what phones call HEIC."""

_HEAD = 256
"""Bytes of a file that its brands are looked for in."""


def load_picture(source: Path | bytes | BinaryIO) -> NDArray[np.uint8]:
    """Read a picture from a file, its bytes, or an open binary file.

    Returns (H, W, 3), uint8, sRGB, contiguous and writable.  Of an animation, the first frame.
    Integers beyond 16 bits and floats carry no scale of their own: see :func:`_eight_bits`.

    Raises UnreadablePicture (no such file, not a picture, truncated, no pixels) or
    PictureTooLarge (more than :data:`PIXEL_LIMIT` pixels); either is one line and names the file.
    """
    name = _name(source)
    try:
        with _quiet(), _opened(source) as image:
            _check_size(name, image)
            image.load()
            _check_size(name, image)  # a HEIF file may have said otherwise before
            return _array(_flattened(_upright(image)))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureTooLarge(_too_large(name, "the picture")) from error
    except MemoryError as error:
        raise PictureTooLarge(f"{name}: not enough memory for this picture") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise UnreadablePicture(f"{name}: not a picture (of the kinds {kinds})") from error
    except OSError as error:
        reason = error.strerror or _one_line(error)
        raise UnreadablePicture(f"{name}: {reason}") from error
    except Exception as error:
        # Decoders meet damaged files with whatever they trip over: ValueError, struct.error,
        # zlib.error, IndexError, SyntaxError and more.
        raise UnreadablePicture(f"{name}: a damaged picture: {_one_line(error)}") from error


def png_bytes(image: NDArray[np.uint8], text: Mapping[str, str] | None = None) -> bytes:
    """Return ``image`` (H, W, 3) as the bytes of a PNG file.

    ``text`` becomes tEXt chunks (keywords of 1 to 79 Latin-1 characters, or ValueError; values
    beyond Latin-1 become iTXt).
    """
    info = PngInfo()
    for keyword, value in (text or {}).items():
        if not 1 <= len(keyword.encode("latin-1")) <= 79:
            raise ValueError(f"a PNG keyword has 1 to 79 characters, not {len(keyword)}")
        info.add_text(keyword, value)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def save_png(
    path: Path, image: NDArray[np.uint8], *, text: Mapping[str, str] | None = None
) -> None:
    """Write ``image`` (H, W, 3) to ``path`` as PNG, wholly or not at all.

    Whoever reads ``path`` meanwhile sees the old file or the new one; what is no file is written to
    (:func:`~diffc_stream.destination.writing`).  ``text`` is as for :func:`png_bytes`.  Raises
    OSError if it cannot be written; then nothing is left behind.
    """
    data = png_bytes(image, text)
    with writing(path) as file:
        file.write(data)


def _name(source: Path | bytes | BinaryIO) -> str:
    if isinstance(source, bytes):
        return f"picture of {len(source)} bytes"
    if isinstance(source, Path):
        return _printable(str(source))
    return _printable(str(getattr(source, "name", "picture")))


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)


def _one_line(error: Exception) -> str:
    return _printable(" ".join(str(error).split())[:200]) or type(error).__name__


def _too_large(name: str, what: str) -> str:
    return f"{name}: {what} is beyond the limit of {PIXEL_LIMIT // 1_000_000} megapixels"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what Pillow has to say about a photo's odd metadata; errors still are errors.

    Restoring filters is not thread-safe.  What may be left behind when two threads meet here is
    one filter about one library, and no more.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _check_size(name: str, image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadablePicture(f"{name}: a picture of {width} x {height} has no pixels")
    if width * height > PIXEL_LIMIT:
        raise PictureTooLarge(_too_large(name, f"{width} x {height} pixels"))


def _opened(source: Path | bytes | BinaryIO) -> Image.Image:
    source = _seekable(source)
    if _is_heif(source):
        return _opened_heif(source)
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    return Image.open(source, formats=formats)


def _seekable(source: Path | bytes | BinaryIO) -> Path | BinaryIO:
    """Return ``source`` if it can be read at any place, else all there is of it in memory."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        # A folder says so when it is opened.
        if not source.exists() or source.is_file() or source.is_dir():
            return source
        with source.open("rb") as file:
            return _held(_name(source), file)
    return source if source.seekable() else _held(_name(source), source)


def _held(name: str, file: BinaryIO) -> BinaryIO:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise PictureTooLarge(f"{name}: more than {MOST_BYTES:,} bytes")
    return io.BytesIO(data)


def _is_heif(source: Path | BinaryIO) -> bool:
    """Tell by the brands that a file claims in its first box; AVIF, its sibling, has none of these.

    An open file is left where it was.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(_HEAD)
    else:
        place = source.tell()
        head = source.read(_HEAD)
        source.seek(place)
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, length - 3, 4))]
    return head[4:8] == b"ftyp" and not _BRANDS.isdisjoint(brands)


def _opened_heif(source: Path | BinaryIO) -> Image.Image:
    """Open a HEIF file, without having Pillow know of it: the process may not be ours alone."""
    try:
        from pi_heif.as_plugin import HeifImageFile
    except ImportError as error:
        name = _name(source)
        raise UnreadablePicture(f"{name}: HEIF needs pip install pi-heif") from error
    image: Image.Image = HeifImageFile(source)
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image  # EXIF that cannot be read says nothing about the rotation


def _flattened(image: Image.Image) -> Image.Image:
    """Return ``image`` as RGB in sRGB, laid over white where it is transparent."""
    profile = image.info.get("icc_profile")
    colours = _eight_bits(image)
    alpha = None
    if colours.has_transparency_data:
        grey = colours.mode in ("L", "LA", "La", "1")
        rgba = colours.convert("RGBA")
        alpha = rgba.getchannel("A")
        colours = rgba.convert("RGB")
        if grey:
            colours = colours.getchannel("R")
    colours = _in_srgb(colours, profile)
    if alpha is None:
        return colours
    paper = Image.new("RGB", colours.size, "white")
    paper.paste(colours, mask=alpha)
    return paper


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return ``image`` with 8 bits per channel.

    Grey of 16 bits is divided by 257.  Wider integers and floats are taken to span 0 to 1
    (floats), 255 (floats) or 65535, the first that holds them all; failing that their own range
    is stretched.  What is not a number is black.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    spans = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    span = next((s for s in spans if low >= 0.0 and high <= s), None)
    if span is None:
        values, span = values - low, (high - low) or 1.0
    return Image.fromarray(np.round(values * (255.0 / span)).astype(np.uint8))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert from the embedded profile, or from the mode's usual meaning without a usable one."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile:
        try:
            return _converted(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile, or one for other colours: as if there were none
    if image.mode == "LAB":
        return _converted(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image.convert("RGB")


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    space = profile.profile.xcolor_space.strip()
    if space == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}.get(space) != image.mode:
        raise ValueError(f"a profile for {space} in a picture of {image.mode}")
    converted = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # only a conversion in place returns none
    return converted


def _array(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image, dtype=np.uint8, order="C")
