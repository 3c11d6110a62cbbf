"""Pictures that streams start from, made of the bytes that name them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec import Decoder, Held
from diffc_stream.codec.decoder import MOST_PIXELS
from diffc_stream.container import Reference
from diffc_stream.container.grammar import MAGIC
from diffc_stream.container.reference import MOST_BACK, digest
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import MissingReference, PictureTooLarge, StreamError
from diffc_stream.picture import load_picture

MOST_KEPT = 2**26
"""Bytes of the pictures that are kept for the next stream, one byte for each colour of a pixel."""

MOST_BEHIND = 2**29
"""Pixels of all streams that start from one another, however few bytes they have: those that a
camera of 3840x2160 pixels has between key pictures (:data:`diffc_stream.succession.LONGEST`)."""

Models = Mapping[str, Model] | Sequence[Model]
Finder = Callable[[Reference], bytes | None]
"""A function that returns the bytes that a reference names, or None if it does not have them."""


class Pictures:
    """Pictures that streams have started from lately, so that a chain of them is decoded once.

    Any thread may use it.
    """

    def __init__(self, most_bytes: int = MOST_KEPT) -> None:
        """Keep ``most_bytes`` bytes of pixels; the least recently used are dropped."""
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, bytes], NDArray[np.uint8]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, size: int, digest: bytes) -> NDArray[np.uint8] | None:
        """Return the picture made of ``size`` bytes with this digest, if it is here."""
        with self._guard:
            found = self._kept.get((size, digest))
            if found is not None:
                self._kept.move_to_end((size, digest))
            return found

    def put(self, size: int, digest: bytes, picture: NDArray[np.uint8]) -> None:
        """Keep a picture, which must not be changed any more."""
        with self._guard:
            if (size, digest) in self._kept or picture.nbytes > self._most:
                return
            self._kept[size, digest] = picture
            self._bytes += picture.nbytes
            while self._bytes > self._most:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What may still come before a stream in a chain of them, each of which has to be rendered."""

    streams: int
    pixels: int
    most: int
    """How many pixels there were at the beginning, for the error."""

    def without(self, pixels: int) -> _Left:
        """Return what is left after a stream of ``pixels``.  Raises PictureTooLarge if it is none.

        A chain is followed to its end before anything is rendered, so that it is refused first.
        """
        if pixels > self.pixels:
            raise PictureTooLarge(
                f"streams that start from one another have more than {self.most:,} pixels in all"
            )
        return replace(self, streams=self.streams - 1, pixels=self.pixels - pixels)


def held(
    data: bytes,
    models: Models,
    *,
    name: str = "",
    find: Finder | None = None,
    pictures: Pictures | None = None,
) -> Held:
    """Return the picture that ``data`` is: a picture file, or a stream or the beginning of one.

    A stream is shown as mmse, by one of ``models``; ``find`` looks for what it starts from, unless
    ``pictures`` has that already.  Raises PictureError, StreamError, ModelError or
    MissingReference.
    """
    maker = References(models, find, pictures=pictures)
    return Held(picture=maker.made(data), data=data, name=name)


class References:
    """The pictures that streams may start from: what a :class:`~diffc_stream.codec.Decoder` asks.

    ``find`` returns the bytes that a reference names.  They are checked, and the pictures are made
    when a stream asks for them, with ``most_pixels`` pixels at most, and MOST_BEHIND in all where
    streams start from one another; those in ``pictures`` need no finding and count for nothing, and
    new ones are added to it.
    """

    def __init__(
        self,
        models: Models,
        find: Finder | None,
        *,
        pictures: Pictures | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self._models = models
        self._find = find
        self._pictures = pictures or Pictures(0)
        self._most_pixels = most_pixels
        most = max(MOST_BEHIND, most_pixels)
        self._left = _Left(streams=MOST_BACK, pixels=most, most=most)

    def __call__(self, reference: Reference) -> NDArray[np.uint8]:
        """Return the picture that ``reference`` names, 8-bit sRGB, (H, W, 3).

        Raises MissingReference if nothing that is found is it, and what :func:`held` raises.
        """
        return self._found(reference, self._left)

    def made(self, data: bytes) -> NDArray[np.uint8]:
        """Return the picture of a file or stream, (H, W, 3); raises what :func:`held` does."""
        return self._made(data, self._left)

    def _made(self, data: bytes, left: _Left) -> NDArray[np.uint8]:
        key = len(data), digest(data)
        picture = self._pictures.get(*key)
        if picture is None:
            picture = self._decoded(data, left)
            self._pictures.put(*key, picture)
        return picture

    def _found(self, reference: Reference, left: _Left) -> NDArray[np.uint8]:
        picture = self._pictures.get(reference.size, reference.digest)
        if picture is not None:
            return picture
        data = None if self._find is None else self._find(reference)
        if data is None or not reference.matches(data):
            raise MissingReference(reference.told)
        return self._made(data[: reference.size], left)

    def _decoded(self, data: bytes, left: _Left) -> NDArray[np.uint8]:
        if not data.startswith(MAGIC):
            return load_picture(data, most_pixels=self._most_pixels)
        if not left.streams:
            raise StreamError(f"more than {MOST_BACK} streams that start from one another")

        def before(reference: Reference) -> NDArray[np.uint8]:
            assert decoder.header is not None
            return self._found(reference, left.without(decoder.header.pixels))

        decoder = Decoder(self._models, most_pixels=self._most_pixels, references=before)
        decoder.feed(data)
        return decoder.render().image


def laid_over(
    reference: Reference, whole: NDArray[np.uint8], part: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return a copy of ``whole`` in which ``part`` has its place.

    ``whole`` is the picture that ``reference`` names, of which the stream of ``part`` shows a part;
    both are 8-bit sRGB, (H, W, 3).  Raises StreamError if that is not in the same pixels.
    """
    top, left = (-moved for moved in reference.shift)
    height, width = part.shape[:2]
    size = tuple(side - cut for side, cut in zip(whole.shape, reference.cut, strict=False))
    inside = top >= 0 and left >= 0 and (top + height, left + width) <= whole.shape[:2]
    if size != (height, width) or not inside or left + width > whole.shape[1]:
        raise StreamError("this stream does not show a part of the picture that it starts from")
    result = whole.copy()
    result[top : top + height, left : left + width] = part
    return result


def among(files: Iterable[bytes]) -> Finder:
    """Return a finder that looks among ``files``, each whole or a beginning."""
    kept = list(files)
    return lambda reference: next((data for data in kept if reference.matches(data)), None)
