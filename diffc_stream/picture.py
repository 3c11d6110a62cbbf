"""Read pictures of any ordinary format, and write PNG.

Inside the project a picture is an array of shape (H, W, 3), uint8, sRGB, upright.  Reading converts
everything to that: palettes, grey, 16 bits and floats become 8-bit colour, EXIF rotation is
applied, an embedded colour profile is converted to sRGB, and transparent parts are laid over white
(streams have no alpha channel, and white is what a page would show).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from diffc_stream.container.metadata import NOTHING as UNKNOWN
from diffc_stream.container.metadata import Metadata
from diffc_stream.destination import writing
from diffc_stream.errors import PictureError, PictureTooLarge, UnreadablePicture
from diffc_stream.imaging import Unsupported, bmp, boxes, capture, exif, jpeg, jxl, png, tiff
from diffc_stream.imaging.boxes import NOTHING, Told
from diffc_stream.imaging.colour import in_srgb
from diffc_stream.imaging.depth import FLOAT, INTEGER, eight_bits
from diffc_stream.imaging.kinds import HEAD, kind_of
from diffc_stream.imaging.png import Png
from diffc_stream.imaging.profile import as_srgb
from diffc_stream.imaging.tiff import Tiff

PIXEL_LIMIT = 100_000_000
"""Larger pictures are refused before they are decoded; so are streams of larger ones."""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "JPEG2000", "TIFF", "GIF", "BMP", "PPM")
"""Formats that are read.  Pillow knows more, but hands some of them to other programs (EPS)."""

MOST_BYTES = 2**30
"""Most bytes of a picture from a pipe: all of them are held in memory before decoding."""


def load_picture(
    source: Path | bytes | BinaryIO, *, most_pixels: int = PIXEL_LIMIT
) -> NDArray[np.uint8]:
    """Read a picture from a file, its bytes, or an open binary file.

    Returns an array (H, W, 3), uint8, sRGB, contiguous and writable; of an animation, the first
    frame.  Integers of more than 16 bits and floats have no defined range, see
    :func:`_eight_bits`.

    Raises the errors of :func:`load_photograph`.
    """
    return load_photograph(source, most_pixels=most_pixels)[0]


def load_photograph(
    source: Path | bytes | BinaryIO, *, most_pixels: int = PIXEL_LIMIT
) -> tuple[NDArray[np.uint8], Metadata]:
    """Read a picture like :func:`load_picture`, and what its file says of how it was taken.

    Raises UnreadablePicture (no such file, not a picture, truncated, no pixels) or PictureTooLarge
    (more than ``most_pixels`` pixels, told before it is decoded).  Both messages are one line and
    name the file.
    """
    name = _name(source)
    most = min(most_pixels, PIXEL_LIMIT)
    try:
        with _quiet(), _file(source) as file:
            opened = _opened(name, file, most)
            _check_size(name, opened.image.size, most)
            _loaded(opened, file)
            with opened.image as image:
                _check_size(name, image.size, most)  # Again: a HEIF file may state another size.
                metadata = capture.metadata_of(image)
                return _array(exif.upright(_flattened(opened), image)), metadata
    except PictureError:
        raise
    except Unsupported as error:
        raise UnreadablePicture(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:
        raise PictureTooLarge(_too_large(name, "the picture", most)) from error
    except MemoryError as error:
        raise PictureTooLarge(f"{name}: not enough memory for this picture") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise UnreadablePicture(f"{name}: not a picture (of the kinds {kinds})") from error
    except OSError as error:
        reason = error.strerror or _one_line(error)
        raise UnreadablePicture(f"{name}: {reason}") from error
    except Exception as error:
        # Decoders raise all kinds of errors for damaged files: ValueError, struct.error,
        # zlib.error, IndexError, SyntaxError and more.
        raise UnreadablePicture(f"{name}: a damaged picture: {_one_line(error)}") from error


def png_bytes(
    image: NDArray[np.uint8],
    text: Mapping[str, str] | None = None,
    metadata: Metadata = UNKNOWN,
) -> bytes:
    """Return ``image`` (H, W, 3) as the bytes of a PNG file.

    ``text`` becomes tEXt chunks, or iTXt chunks for values beyond Latin-1; ``metadata`` becomes
    EXIF.  Raises ValueError for keywords that do not have 1 to 79 Latin-1 characters.
    """
    info = PngInfo()
    for keyword, value in (text or {}).items():
        if not 1 <= len(keyword.encode("latin-1")) <= 79:
            raise ValueError(f"a PNG keyword has 1 to 79 characters, not {len(keyword)}")
        info.add_text(keyword, value)
    buffer = io.BytesIO()
    exif = {"exif": capture.exif_of(metadata)} if metadata else {}
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", pnginfo=info, **exif)
    return buffer.getvalue()


def save_png(
    path: Path,
    image: NDArray[np.uint8],
    *,
    text: Mapping[str, str] | None = None,
    metadata: Metadata = UNKNOWN,
) -> None:
    """Write ``image`` (H, W, 3) to ``path`` as PNG, completely or not at all.

    A program that reads ``path`` meanwhile sees the old file or the new one.  Devices and pipes are
    written to (:func:`~diffc_stream.destination.writing`).  ``text`` and ``metadata`` are as for
    :func:`png_bytes`.  Raises OSError if the file cannot be written, and then leaves nothing
    behind.
    """
    data = png_bytes(image, text, metadata)
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


def _too_large(name: str, what: str, most: int) -> str:
    limit = f"{most:,} pixels" if most % 1_000_000 else f"{most // 1_000_000} megapixels"
    return f"{name}: {what} is beyond the limit of {limit}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide Pillow's warnings about odd metadata.  Errors are still raised.

    Restoring the warning filters is not thread-safe.  If two threads meet here, the worst that can
    happen is that this filter for Pillow stays.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _check_size(name: str, size: tuple[int, int], most: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise UnreadablePicture(f"{name}: a picture of {width} x {height} has no pixels")
    if width * height > most:
        raise PictureTooLarge(_too_large(name, f"{width} x {height} pixels", most))


@contextlib.contextmanager
def _file(source: Path | bytes | BinaryIO) -> Iterator[BinaryIO]:
    """Open ``source``, and read it to its end if it is a pipe.  The caller's files stay open."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file if file.seekable() else _held(_name(source), file)
    else:
        yield source if source.seekable() else _held(_name(source), source)


def _held(name: str, file: BinaryIO) -> BinaryIO:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise PictureTooLarge(f"{name}: more than {MOST_BYTES:,} bytes")
    return io.BytesIO(data)


@dataclass(slots=True)
class _Opened:
    """An open picture, and what else its file says about it."""

    image: Image.Image
    told: Told = NOTHING
    png: Png | None = None
    tiff: Tiff | None = None


def _opened(name: str, file: BinaryIO, most: int) -> _Opened:
    file.seek(0)
    kind = kind_of(file.read(HEAD))
    file.seek(0)
    try:
        match kind:
            case "PNG":
                found = png.opened(file)
                image = _by_pillow(found.file)
                image.info.pop("icc_profile", None)  # Another chunk may take precedence over it.
                return _Opened(image, Told(found.profile, found.coding), png=found)
            case "TIFF":
                return _opened_tiff(name, file, most)
            case "BMP":
                file, told = bmp.opened(file)
                return _Opened(_by_pillow(file), told)
            case "HEIF" | "AVIF":
                told = boxes.of_heif(file)
                file.seek(0)
                image = _opened_heif(name, file) if kind == "HEIF" else _by_pillow(file)
                return _Opened(image, told)
            case "JPEG2000":
                told = boxes.of_jp2(file)
                file.seek(0)
                return _Opened(_by_pillow(file), told)
            case "JPEG XL":
                return _Opened(_opened_jxl(name, file, most))
            case _:
                return _Opened(_by_pillow(file))
    except UnidentifiedImageError as error:
        if kind is None:
            raise
        ours = "a kind of {} that is not read, or damaged" if kind in FORMATS else "{} is not read"
        raise UnreadablePicture(f"{name}: {ours.format(kind)}") from error


def _by_pillow(file: BinaryIO) -> Image.Image:
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    return Image.open(file, formats=formats)


def _opened_tiff(name: str, file: BinaryIO, most: int) -> _Opened:
    found = tiff.looked_at(file)
    file.seek(0)
    if found is None:
        return _Opened(_by_pillow(file))
    try:
        if found.misread:
            raise ValueError("not by Pillow")
        image = _by_pillow(tiff.beginning_with(file, found) if found.place is None else file)
        if found.place:
            image.seek(found.place)
    except (UnidentifiedImageError, SyntaxError, ValueError, KeyError):
        _check_size(name, found.size, most)
        image = tiff.decoded(file, found)
        return _Opened(image)
    return _Opened(image, tiff=found)


def _opened_heif(name: str, file: BinaryIO) -> Image.Image:
    """Open a HEIF file without registering the format with Pillow, which is the host's as well."""
    try:
        from pi_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise UnreadablePicture(f"{name}: HEIF needs pip install pi-heif") from error
    image: Image.Image = HeifImageFile(file)
    return image


def _opened_jxl(name: str, file: BinaryIO, most: int) -> Image.Image:
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError as error:
        needed = "pip install 'diffc-stream[jxl]'"
        raise UnreadablePicture(f"{name}: JPEG XL needs {needed}") from error
    _check_size(name, jxl.size_of(file), most)
    file.seek(0)
    image: Image.Image = JXLImageFile(file)
    if not getattr(image, "jpeg", False):
        exif.turned(image)
    return image


def _loaded(opened: _Opened, file: BinaryIO) -> None:
    """Decode the samples."""
    try:
        opened.image.load()
    except OSError:
        if opened.image.format not in ("JPEG", "MPO"):
            raise
        file.seek(0)
        whole = jpeg.ended(file.read(MOST_BYTES))
        if whole is None:
            raise
        opened.image = Image.open(whole, formats=["JPEG"])
        opened.image.load()


def _flattened(opened: _Opened) -> Image.Image:
    """Return a picture as RGB in sRGB, laid over white where it is transparent."""
    image = opened.image
    told = opened.told
    if not any(told):
        profile = image.info.get("icc_profile")
        told = Told(profile=profile) if profile else exif.colour(image)
    alpha = _keyed(opened)
    deep = opened.png if opened.png is not None and opened.png.deep else None
    if deep is not None and (told.coding is not None or deep.key is not None):
        samples = deep.samples()
        if deep.key is not None:
            alpha = _paperless(np.all(samples == np.array(deep.key, np.uint16), axis=-1))
        elif samples.shape[2] == 4:
            alpha = Image.fromarray((samples[..., 3] >> 8).astype(np.uint8))
        coloured = samples[..., :3]
        shown = in_srgb(coloured, told.coding) if told.coding else coloured >> 8
        colours = Image.fromarray(shown.astype(np.uint8))
        told = Told(profile=told.profile)
    else:
        colours = _eight_bits(opened)
    if colours.mode == "La":
        colours = colours.convert("LA")
    if alpha is None and colours.has_transparency_data:
        grey = colours.mode in ("L", "LA", "La", "1")
        rgba = colours.convert("RGBA")
        alpha = rgba.getchannel("A")
        colours = rgba.convert("RGB")
        if grey:
            colours = colours.getchannel("R")
    colours = as_srgb(colours, told)
    if alpha is None:
        return colours
    paper = Image.new("RGB", colours.size, "white")
    paper.paste(colours, mask=alpha)
    return paper


def _keyed(opened: _Opened) -> Image.Image | None:
    """Return a mask of the opaque pixels of a PNG in which one colour is transparent, if it is."""
    found, image = opened.png, opened.image
    if found is None or found.key is None:
        return None
    image.info.pop("transparency", None)
    if found.deep:
        return None  # Pillow's samples have too few bits to tell.
    key = found.key
    if image.mode == "L":
        key = (key[0] * 255 // ((1 << found.depth) - 1),)
    samples = np.asarray(image)
    same = samples == (np.array(key) if samples.ndim == 3 else key[0])
    return _paperless(np.all(same, axis=-1) if samples.ndim == 3 else same)


def _paperless(transparent: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8))


def _eight_bits(opened: _Opened) -> Image.Image:
    """Return a picture with 8 bits per channel.

    Grey of 16 bits is divided by 257.  For wider integers and floats the range is assumed to be 0
    to 1 (floats), 0 to 255 (floats) or 0 to 65535: the first that contains all values.  If none
    does, the range of the values themselves is stretched.
    """
    image = opened.image
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    spans = FLOAT if image.mode == "F" else INTEGER
    if opened.tiff is not None and 8 < opened.tiff.bits < 16:
        spans = (float((1 << opened.tiff.bits) - 1),)
    values = eight_bits(np.asarray(image), spans)
    negative = opened.tiff is not None and opened.tiff.white_is_least
    return Image.fromarray(255 - values if negative else values)


def _array(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image, dtype=np.uint8, order="C")
