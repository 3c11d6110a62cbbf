"""Files to streams: where the bytes that are sent come from.

What is in here is slow and runs on worker threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffc_stream.container import Header, StreamReader
from diffc_stream.errors import NotAStream, PrefixMismatch, UnreadablePicture
from diffc_stream.picture import load_picture

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

STREAM_SUFFIX = ".dfc"
"""Of streams that are ready: they are sent as they are."""
_BLOCK = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture's stream, ready to be pulled."""

    pixels: int
    """Of the picture: what bits per pixel refer to."""
    model: str
    """Fingerprint of the model that it takes to decode it."""
    pieces: Iterator[bytes]
    """Its bytes after those that were there, each piece computed when it is asked for; by one
    thread at a time.  Pieces may be empty.  Raises PrefixMismatch if it finds out later."""


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
        the source goes on after them.  Raises PictureError, StreamError (PrefixMismatch if these
        are not its first bytes) or UnreadableModel.
        """
        ...


class FileOpener:
    """Encodes pictures with the models at hand, and hands out ``.dfc`` files as they are."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        """Encode with ``models``, by fingerprint and in order of preference; at least one."""
        self._models = models

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the models."""
        return tuple(self._models)

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a picture or a stream."""
        if is_stream(path):
            header = _header(path)
            pixels = header.width * header.height
            return Source(pixels=pixels, model=header.model, pieces=_blocks(path, prefix))
        # Late, because it brings the codec, which serving streams as they are can do without.
        from diffc_stream.codec import Encoder

        chosen = self._models[model or self.fingerprints[0]]
        picture = load_picture(path)
        height, width = picture.shape[:2]
        return Source(
            pixels=width * height,
            model=chosen.fingerprint,
            pieces=iter(Encoder(picture, chosen, prefix=prefix)),
        )


def is_stream(path: Path) -> bool:
    """Tell, by its name, a stream that is ready from a picture."""
    return path.suffix.lower() == STREAM_SUFFIX


def _blocks(path: Path, prefix: bytes) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.read(len(prefix)) != prefix:
            raise PrefixMismatch(f"{path}: has become another stream")
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
