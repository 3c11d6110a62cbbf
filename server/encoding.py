"""Files to streams: where the bytes that are sent come from.

What is in here is slow and runs on worker threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffc_stream.container import Header, StreamReader
from diffc_stream.errors import NotAStream, UnreadablePicture
from diffc_stream.picture import load_picture

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

STREAM_SUFFIX = ".dfc"
_BLOCK = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture's stream, ready to be pulled."""

    pixels: int
    """Of the picture: what bits per pixel refer to."""
    pieces: Iterator[bytes]
    """Its bytes, each piece computed when it is asked for; by one thread at a time."""


class Opener(Protocol):
    """Makes a source of a file."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the models that pictures are encoded with."""
        ...

    def open(self, path: Path) -> Source:
        """Open a file; may take a second.  Raises PictureError or StreamError."""
        ...


class FileOpener:
    """Encodes pictures with one model, and hands out ``.dfc`` files as they are."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint of the model."""
        return (self._model.fingerprint,)

    def open(self, path: Path) -> Source:
        """Open a picture or a stream."""
        # Late, because it brings torch, which serving streams as they are can do without.
        from diffc_stream.codec import Encoder

        if path.suffix.lower() == STREAM_SUFFIX:
            header = _header(path)
            return Source(pixels=header.width * header.height, pieces=_blocks(path))
        picture = load_picture(path)
        height, width = picture.shape[:2]
        return Source(pixels=width * height, pieces=iter(Encoder(picture, self._model)))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _header(path: Path) -> Header:
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UnreadablePicture(f"{path}: {error.strerror}") from error
    for event in StreamReader().feed(start):
        if isinstance(event, Header):
            return event
    raise NotAStream(f"{path}: too short to be a .dfc stream")
