"""Sources: a picture to encode, or a file that is a stream already, read piece by piece.

Everything here is slow and runs on worker threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from diffc_stream.container import Facts, Header
from diffc_stream.container.grammar import MOST_HEADER, STREAM_SUFFIX
from diffc_stream.container.reference import digest
from diffc_stream.errors import MissingReference, NotAStream, PrefixMismatch, UnreadablePicture
from diffc_stream.opening import Identity, open_resolved
from diffc_stream.picture import load_photograph
from diffc_stream.session import Rectangle

from ..catalogue.file import File, try_later

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffc_stream.codec import Held
    from diffc_stream.diffusion.model import Model
    from diffc_stream.references import Pictures

SILENT = Facts()
"""No metadata is given out."""
_BLOCK = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture's stream, from which pieces can be pulled."""

    pixels: int
    """The picture's number of pixels, which bits per pixel refer to."""
    model: str
    """Fingerprint of the model that decodes the stream."""
    pieces: Iterator[bytes]
    """The stream's bytes after the given prefix.  Each piece, which may be empty, is computed when
    it is asked for, on one thread at a time.  Raises PrefixMismatch if the prefix proves wrong only
    then, RequestRefused if the file has been replaced, and OSError."""
    version: Identity | None = None
    """The version of the file that was opened; None if the opener did not check it."""


class Opener(Protocol):
    """Opens files as sources."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the models that pictures can be encoded with, the preferred one first."""
        ...

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file; this may take a second.

        A picture is encoded with ``model``, one of ``fingerprints``; None is the preferred one.  A
        file that is a stream already ignores it.  With ``prefix``, the first bytes of the stream,
        the source continues after them.  Between two pieces no file is open.  Raises PictureError,
        StreamError (PrefixMismatch if the stream begins otherwise) or UnreadableModel.
        """
        ...


class Describing(Opener, Protocol):
    """Opens sources that carry a picture's metadata."""

    @property
    def facts(self) -> Facts:
        """Which metadata they carry."""
        ...


@runtime_checkable
class ReferringOpener(Opener, Protocol):
    """Opens pictures whose streams start from others."""

    def refers(self, model: str | None) -> bool:
        """Tell whether streams of a model can start from another; may load it, so it is slow."""
        ...

    def has_picture(self, beginning: bytes) -> bool:
        """Tell whether the picture of this beginning of a stream is here, without decoding."""
        ...

    def starting(self, name: str, files: Sequence[bytes]) -> Opener:
        """Return an opener of pictures whose streams start from the first of ``files``.

        That is the beginning of the stream ``name``, and the others are what it goes back to.
        """
        ...

    def showing(self, part: Rectangle) -> ReferringOpener:
        """Return an opener of that part of each picture, which starts from that part, too."""
        ...


class FileOpener:
    """Encodes pictures with the given models, and gives out ``.dfc`` files as they are."""

    def __init__(self, models: Mapping[str, Model], *, facts: Facts = SILENT) -> None:
        """Encode with ``models``, at least one, by fingerprint and in order of preference.

        ``facts`` are the metadata of a picture to put into its stream, which takes version 3 of
        the format.
        """
        self._models = models
        self.facts = facts
        self._start: tuple[str, Sequence[bytes]] | None = None
        self._part: Rectangle | None = None
        self._pictures: Pictures | None = None
        """Those that streams have started from; made late, because that brings the codec."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the models."""
        return tuple(self._models)

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a picture or a stream, at a path with links resolved."""
        if is_stream(path):
            return _ready(path, prefix)
        # Imported late, because it brings the codec, which serving .dfc files does not need.
        from diffc_stream.codec import Encoder

        chosen = self._models[model or self.fingerprints[0]]
        with _opened(path) as file:
            version = Identity.opened(file)
            picture, metadata = load_photograph(file)
            File(path, version).check(Identity.opened(file))
        facts = self.facts
        if self._part is not None:
            # What there is to say of the picture is in its own stream.
            picture, facts = _cut(picture, self._part), SILENT
        height, width = picture.shape[:2]
        try:
            encoder = Encoder(
                picture,
                chosen,
                prefix=prefix,
                metadata=metadata.only(facts),
                reference=self._reference(),
            )
        except MissingReference as error:
            if prefix:
                raise PrefixMismatch(f"{path}: {error}") from error
            raise try_later() from error
        return Source(
            pixels=width * height,
            model=chosen.fingerprint,
            pieces=iter(encoder),
            version=version,
        )

    def refers(self, model: str | None) -> bool:
        """Tell whether streams of a model can start from another; may load it, so it is slow."""
        return self._models[model or self.fingerprints[0]].shaped

    def has_picture(self, beginning: bytes) -> bool:
        """Tell whether the picture of this beginning of a stream is here, without decoding."""
        if self._pictures is None:
            return False
        return self._pictures.get(len(beginning), digest(beginning)) is not None

    def starting(self, name: str, files: Sequence[bytes]) -> FileOpener:
        """Return an opener of pictures whose streams start from the first of ``files``."""
        other = self._other()
        other._start = name, files
        return other

    def showing(self, part: Rectangle) -> FileOpener:
        """Return an opener of that part of each picture, which starts from that part, too."""
        other = self._other()
        other._part = part
        return other

    def _other(self) -> FileOpener:
        """Return a copy that makes use of the same pictures to start from."""
        from diffc_stream.references import Pictures

        if self._pictures is None:
            self._pictures = Pictures()
        return copy(self)

    def _reference(self) -> Held | None:
        """Return the picture to start from, if there is one.  Raises MissingReference."""
        if self._start is None:
            return None
        from diffc_stream.references import among, held

        name, files = self._start
        find, pictures = among(files), self._pictures
        whole = held(files[0], self._models, name=name, find=find, pictures=pictures)
        if self._part is None:
            return whole
        left, top, width, height = self._part
        return replace(whole, view=(top, left, height, width))


def is_stream(path: Path) -> bool:
    """Tell by its name whether a file is a stream already."""
    return path.suffix.lower() == STREAM_SUFFIX


def _cut(picture: NDArray[np.uint8], part: Rectangle) -> NDArray[np.uint8]:
    left, top, width, height = part
    return picture[top : top + height, left : left + width].copy()


def _ready(path: Path, prefix: bytes) -> Source:
    """Open a stream file, and read its first block, which most requests do not go beyond."""
    with _opened(path) as file:
        here = File(path, Identity.opened(file))
        header = parse_header(path, file)
        file.seek(0)
        for start in range(0, len(prefix), _BLOCK):
            held = prefix[start : start + _BLOCK]
            if file.read(len(held)) != held:
                raise PrefixMismatch(f"{path}: the stream has changed")
        pieces = _blocks(here, file.read(_BLOCK), len(prefix))
    return Source(
        pixels=header.pixels,
        model=header.model,
        pieces=pieces,
        version=here.version,
    )


def _blocks(here: File, first: bytes, position: int) -> Iterator[bytes]:
    """Yield blocks from ``position`` on, ``first`` being the first; opens the file for each."""
    block = first
    while block:
        yield block
        position += len(block)
        block = read_block(here, position, _BLOCK)


def read_block(here: File, position: int, size: int) -> bytes:
    """Return up to ``size`` bytes of a file, and close it again.

    Raises OSError, or RequestRefused if the file has been replaced.
    """
    if position >= here.version.size:
        return b""
    with here.open() as file:
        file.seek(position)
        return file.read(min(size, here.version.size - position))


def parse_header(path: Path, file: BinaryIO) -> Header:
    """Read the header of a stream from its beginning.  Raises StreamError."""
    header = Header.at(file.read(MOST_HEADER))
    if header is None:
        raise NotAStream(f"{path}: too short to be a .dfc stream")
    return header


def _opened(path: Path) -> BufferedReader:
    try:
        return open_resolved(path)
    except OSError as error:
        raise UnreadablePicture(f"{path}: {error.strerror}") from error
