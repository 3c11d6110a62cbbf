"""Files to streams: where the bytes that are sent come from.

What is in here is slow and runs on worker threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from diffc_stream.container import Facts, Header, StreamReader
from diffc_stream.errors import NotAStream, PrefixMismatch, UnreadablePicture
from diffc_stream.opening import Identity, open_resolved
from diffc_stream.picture import load_photograph

from ..catalogue.file import File

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

STREAM_SUFFIX = ".dfc"
"""Of streams that are ready: they are sent as they are."""
SILENT = Facts()
"""Nothing is told of how a picture was taken."""
_BLOCK = 16_384
_HEAD = 64
"""Bytes that a stream's header is within."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture's stream, ready to be pulled."""

    pixels: int
    """Of the picture: what bits per pixel refer to."""
    model: str
    """Fingerprint of the model that it takes to decode it."""
    pieces: Iterator[bytes]
    """Its bytes after those that were there, each piece computed when it is asked for; by one
    thread at a time.  Pieces may be empty.  Raises PrefixMismatch if it finds out later,
    RequestRefused if the file has become another, and OSError."""
    version: Identity | None = None
    """Of the file that was opened; None: whoever opened it did not look."""


class Opener(Protocol):
    """Makes a source of a file."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the models that pictures can be encoded with, the preferred one first."""
        ...

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file; may take a second.

        A picture is encoded with ``model``, one of ``fingerprints``; None is the preferred one.  It
        means nothing for a stream that is ready.  With ``prefix``, the first bytes of the stream,
        the source goes on after them.  Between two pieces no file is open.  Raises PictureError,
        StreamError (PrefixMismatch if these are not its first bytes) or UnreadableModel.
        """
        ...


class Describing(Opener, Protocol):
    """Makes sources that also say how a picture was taken."""

    @property
    def facts(self) -> Facts:
        """What they say of that."""
        ...


class FileOpener:
    """Encodes pictures with the models at hand, and hands out ``.dfc`` files as they are."""

    def __init__(self, models: Mapping[str, Model], *, facts: Facts = SILENT) -> None:
        """Encode with ``models``, by fingerprint and in order of preference; at least one.

        ``facts`` of how a picture was taken are told, for who reads version 3 of the format.
        """
        self._models = models
        self.facts = facts

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the models."""
        return tuple(self._models)

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a picture or a stream, at a path without links."""
        if is_stream(path):
            return _ready(path, prefix)
        # Late, because it brings the codec, which serving streams as they are can do without.
        from diffc_stream.codec import Encoder

        chosen = self._models[model or self.fingerprints[0]]
        with _opened(path) as file:
            version = Identity.opened(file)
            picture, metadata = load_photograph(file)
            File(path, version).check(Identity.opened(file))
        height, width = picture.shape[:2]
        return Source(
            pixels=width * height,
            model=chosen.fingerprint,
            pieces=iter(
                Encoder(picture, chosen, prefix=prefix, metadata=metadata.only(self.facts))
            ),
            version=version,
        )


def is_stream(path: Path) -> bool:
    """Tell, by its name, a stream that is ready from a picture."""
    return path.suffix.lower() == STREAM_SUFFIX


def _ready(path: Path, prefix: bytes) -> Source:
    """Open a stream that is ready, and take its first block along: most have no other."""
    with _opened(path) as file:
        here = File(path, Identity.opened(file))
        header = parse_header(path, file)
        file.seek(0)
        for start in range(0, len(prefix), _BLOCK):
            held = prefix[start : start + _BLOCK]
            if file.read(len(held)) != held:
                raise PrefixMismatch(f"{path}: has become another stream")
        pieces = _blocks(here, file.read(_BLOCK), len(prefix))
    return Source(
        pixels=header.width * header.height,
        model=header.model,
        pieces=pieces,
        version=here.version,
    )


def _blocks(here: File, first: bytes, position: int) -> Iterator[bytes]:
    """Yield what there is from ``position`` on, which ``first`` begins; opens for each the file."""
    block = first
    while block:
        yield block
        position += len(block)
        block = read_block(here, position, _BLOCK)


def read_block(here: File, position: int, size: int) -> bytes:
    """Return up to ``size`` bytes of a file, and leave nothing open.

    Raises OSError, or RequestRefused if another file is there by now.
    """
    if position >= here.version.size:
        return b""
    with here.open() as file:
        file.seek(position)
        return file.read(min(size, here.version.size - position))


def parse_header(path: Path, file: BinaryIO) -> Header:
    """Read the header of a stream from its beginning.  Raises StreamError."""
    for event in StreamReader().feed(file.read(_HEAD)):
        if isinstance(event, Header):
            return event
    raise NotAStream(f"{path}: too short to be a .dfc stream")


def _opened(path: Path) -> BufferedReader:
    try:
        return open_resolved(path)
    except OSError as error:
        raise UnreadablePicture(f"{path}: {error.strerror}") from error
