"""The same picture in other formats with the same number of bytes, for the viewer to compare.

``/-/compare/NAME?format=avif&bytes=N`` is the AVIF of at most N bytes that is closest to the
original.  ``/-/compare/NAME?format=jpeg&bytes=N&of=M`` is the first N bytes of a progressive JPEG
of at most M bytes.  Either may be made from a reduced picture, which the viewer enlarges, if that
comes closer.  ``/-/compare/NAME?format=sample`` is some of the original's pixels as a PNG, by which
the viewer measures the error of all of them.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from diffc_stream.errors import PictureError, PictureTooLarge, RequestRefused
from diffc_stream.metrics import psnr
from diffc_stream.opening import Identity, is_passing
from diffc_stream.picture import load_picture
from diffc_stream.session import MAX_STREAM, Code
from diffc_viewer import SiteResponse
from diffc_viewer.assets import PREFIX as SITE

from ..catalogue.catalogue import Catalogue
from ..catalogue.file import File, try_later, unreadable
from ..encoding.source import is_stream

PREFIX = f"{SITE}compare/"
"""The prefix of these pictures' paths."""
MOST_PIXELS = 4_000_000
"""Largest original, in pixels: the search takes too long for larger ones."""
MOST_KEPT = 32 * 2**20
"""Bytes of encoded files that are kept for later requests."""
PATIENCE = 10.0
"""Seconds that a search may take; after that, the best file so far is the answer."""
MOST_WAITING = 8
"""How many requests may wait for the one that is being answered."""
FACTORS = (1, 2, 4, 8)
"""Factors by which a picture may be reduced."""
QUALITIES = {"jpeg": (1, 95), "avif": (0, 100)}
"""The range of each encoder's quality setting."""
SPEED = 6
"""The AVIF encoder's speed; at 8, files are a tenth larger and take a quarter of the time."""

SAMPLE = "sample"
MOST_SAMPLES = 16_384
"""How many pixels a sample has; a smaller picture gives all of its own.  The mean squared error
over so many pixels is within about 2 % (0.1 dB) of that over the whole picture."""
SAMPLES_PER_ROW = 128

_GOLDEN = 0x9E3779B1
"""A multiplier whose products look random in their upper bits."""
_START_OF_SCAN = b"\xff\xda"
_LEAST_SCAN = 64
"""A JPEG with fewer bytes of its first scan shows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRequest:
    """A parsed request."""

    name: str
    format: str
    bytes: int
    """Bytes to answer with; 0 for a sample."""
    of: int
    """Bytes of the whole file; for AVIF, the same."""

    @classmethod
    def parse(cls, target: str) -> ComparisonRequest:
        """Parse a request's target.  Raises RequestRefused if it is malformed."""
        path, _, query = target.partition("?")
        try:
            name = unquote(path.removeprefix(PREFIX), errors="strict")
            values = parse_qs(query, max_num_fields=8, strict_parsing=True)
            kind = _only(values, "format")
            size = 0 if kind == SAMPLE else _number(_only(values, "bytes"))
            whole = _number(_only(values, "of")) if kind == "jpeg" else size
        except (ValueError, UnicodeDecodeError) as error:
            raise _none("the request is malformed") from error
        if kind not in (*QUALITIES, SAMPLE):
            raise _none("no such format")
        return cls(name=name, format=kind, bytes=size, of=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that the search has encoded."""

    data: bytes
    psnr: float
    """PSNR in dB, after enlarging it to the original's size."""


class Comparison:
    """Encodes comparison pictures, one at a time, and caches them."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Compare with the pictures of ``catalogue``."""
        self._catalogue = catalogue
        self._thread = ThreadPoolExecutor(1, "comparison")
        self._waiting = 0
        self._candidates: OrderedDict[tuple[object, ...], Candidate] = OrderedDict()
        self._kept = 0
        self._original: tuple[object, NDArray[np.uint8]] | None = None

    async def answer(self, target: str) -> SiteResponse:
        """Answer the request for ``target``.

        Raises RequestRefused if there is no such picture, it cannot be made so small, it is too
        large to search, or too many requests are waiting.
        """
        wanted = ComparisonRequest.parse(target)
        if self._waiting >= MOST_WAITING:
            raise RequestRefused(Code.BUSY, "too many comparisons", retry=True)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            data = await loop.run_in_executor(self._thread, self.file, wanted)
        finally:
            self._waiting -= 1
        return SiteResponse(status=HTTPStatus.OK, fields=_fields(wanted.format), body=data)

    def close(self) -> None:
        """Stop answering."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def file(self, wanted: ComparisonRequest) -> bytes:
        """Return the requested bytes; takes about a second.  Raises RequestRefused."""
        file = self._catalogue.file(wanted.name)
        if is_stream(file.path):
            raise _none("a stream has no original")
        if wanted.format == SAMPLE:
            return _strip(self._load(file))
        if wanted.format == "avif" and not features.check("avif"):
            raise _none("this Pillow cannot write AVIF")
        best = self._best(file, wanted)
        if best is None:
            raise _none("it cannot be made so small")
        data = best.data[: wanted.bytes]
        if wanted.format == "jpeg" and _START_OF_SCAN not in data[:-_LEAST_SCAN]:
            raise _none("so few bytes of it show nothing")
        return data

    def _best(self, file: File, wanted: ComparisonRequest) -> Candidate | None:
        """Return the file of at most ``wanted.of`` bytes that is closest to the original."""
        deadline = time.monotonic() + PATIENCE
        best: Candidate | None = None
        for factor in FACTORS:
            low, high = QUALITIES[wanted.format]
            while low <= high and (best is None or time.monotonic() < deadline):
                quality = (low + high) // 2
                tried = self._candidate(file, wanted.format, factor, quality)
                if len(tried.data) <= wanted.of:
                    low = quality + 1
                    if best is None or tried.psnr > best.psnr:
                        best = tried
                else:
                    high = quality - 1
        return best

    def _candidate(self, file: File, kind: str, factor: int, quality: int) -> Candidate:
        key = (*file, kind, factor, quality)
        tried = self._candidates.get(key)
        if tried is None:
            original = self._load(file)
            tried = _encoded(original, kind, factor, quality)
            self._candidates[key] = tried
            self._kept += len(tried.data)
            while self._kept > MOST_KEPT and len(self._candidates) > 1:
                _, dropped = self._candidates.popitem(last=False)
                self._kept -= len(dropped.data)
        self._candidates.move_to_end(key)
        return tried

    def _load(self, file: File) -> NDArray[np.uint8]:
        if self._original is None or self._original[0] != file:
            self._original = None  # free it first: two at once take too much memory
            try:
                with file.open() as opened:
                    pixels = load_picture(opened, most_pixels=MOST_PIXELS)
                    file.check(Identity.opened(opened))
            except OSError as error:
                raise unreadable(error) from error
            except PictureError as error:
                if is_passing(error):
                    raise try_later() from error
                if isinstance(error, PictureTooLarge):
                    raise _none("it is too large to be compared") from error
                raise RequestRefused(Code.UNREADABLE_IMAGE, str(error)) from error
            self._original = file, pixels
        return self._original[1]


def _encoded(pixels: NDArray[np.uint8], kind: str, factor: int, quality: int) -> Candidate:
    whole = Image.fromarray(pixels)
    size = (max(1, whole.width // factor), max(1, whole.height // factor))
    small = whole if factor == 1 else whole.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    try:
        if kind == "jpeg":
            small.save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
        else:
            small.save(buffer, "AVIF", quality=quality, speed=SPEED, max_threads=1)
        data = buffer.getvalue()
        with Image.open(io.BytesIO(data)) as decoded:
            shown = decoded.convert("RGB")
    except (OSError, ValueError) as error:  # both formats limit sides to 65,535
        raise _none("it cannot be written in this format") from error
    if shown.size != whole.size:
        shown = shown.resize(whole.size, Image.Resampling.BICUBIC)
    return Candidate(data=data, psnr=psnr(pixels, np.asarray(shown)))


def places(pixels: int) -> NDArray[np.int64]:
    """Return the indices of the sampled pixels, ascending; the viewer computes the same ones.

    There is one in every stretch of equal length, at a pseudo-random place, so that a regular
    pattern in the picture does not bias the sample.
    """
    count = min(pixels, MOST_SAMPLES)
    stretch = pixels // count
    index = np.arange(count, dtype=np.int64)
    drawn = ((index * _GOLDEN) % 2**32) >> 16
    return index * stretch + drawn % stretch


def _strip(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture's samples as a PNG, row by row; the last row is padded with black."""
    samples = pixels.reshape(-1, 3)[places(pixels.shape[0] * pixels.shape[1])]
    rows = -(-len(samples) // SAMPLES_PER_ROW)
    strip = np.zeros((rows * SAMPLES_PER_ROW, 3), np.uint8)
    strip[: len(samples)] = samples
    buffer = io.BytesIO()
    Image.fromarray(strip.reshape(rows, SAMPLES_PER_ROW, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def _only(values: dict[str, list[str]], name: str) -> str:
    """Return a parameter's only value.  Raises ValueError if it has none, or several."""
    [value] = values.get(name, [])
    return value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"{text} is not a number of bytes")
    return min(int(text), MAX_STREAM)


def _none(why: str) -> RequestRefused:
    return RequestRefused(Code.UNKNOWN_IMAGE, why)


def _fields(kind: str) -> dict[str, str]:
    return {
        "Content-Type": "image/png" if kind == SAMPLE else f"image/{kind}",
        "Cache-Control": "no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
