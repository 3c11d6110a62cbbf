"""A codec that needs neither weights nor mathematics, for testing everything around it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_client import Decoders, Method, StreamDecoder
from diffc_server import Opener, Source
from diffc_stream.container import Header
from diffc_stream.errors import NothingDecodable, PrefixMismatch, UnknownModel, UnreadablePicture

WIDTH, HEIGHT = 40, 30
FINGERPRINT = "0f0f0f0f"
HEADER = len(Header(model=FINGERPRINT, width=WIDTH, height=HEIGHT, seed=0).encode())
"""Bytes, of a proper header; what follows is none of a stream's records."""


def stream_of(name: str, length: int, fingerprint: str = FINGERPRINT) -> bytes:
    """Return the stream that a picture of this name has."""
    blocks = (hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(length // 32 + 1))
    header = Header(model=fingerprint, width=WIDTH, height=HEIGHT, seed=0)
    return (header.encode() + b"".join(blocks))[:length]


@dataclass(slots=True)
class FakeOpener:
    """Opens any file as a picture whose stream follows from its name.

    A file that holds ``broken`` is no picture, and one called ``*.dfc`` the stream of the model
    whose fingerprint it holds, or what it holds; with ``gate``, every piece waits for it, but for
    the ``free`` ones.
    """

    length: int = 5000
    piece: int = 300
    gate: threading.Semaphore | None = None
    free: int = 0
    """Pieces of each picture that do not wait for the gate."""
    fingerprints: tuple[str, ...] = (FINGERPRINT,)
    opened: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    """Those that pictures were opened with."""
    computed: dict[str, int] = field(default_factory=dict)
    """Bytes computed by picture."""

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file."""
        self.opened.append(path.name)
        held = path.read_bytes()
        if held == b"broken":
            raise UnreadablePicture(f"{path}: not a picture")
        if held.startswith(b"DFC"):
            header, _ = Header.parse(held)
            return Source(
                pixels=WIDTH * HEIGHT, model=header.model, pieces=iter([held[len(prefix) :]])
            )
        if path.suffix == ".dfc":
            model = held.decode()
        else:
            model = model or self.fingerprints[0]
            self.models.append(model)
        if not stream_of(path.name, self.length, model).startswith(prefix):
            raise PrefixMismatch("the prefix is of another picture")
        pieces = self._pieces(path.name, model, len(prefix))
        return Source(pixels=WIDTH * HEIGHT, model=model, pieces=pieces)

    def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
        data = stream_of(name, self.length, model)
        for start in range(first, len(data), self.piece):
            if self.gate is not None and start >= first + self.free * self.piece:
                self.gate.acquire()
            piece = data[start : start + self.piece]
            self.computed[name] = self.computed.get(name, 0) + len(piece)
            yield piece
        if self.length == 0:
            raise RuntimeError("a bug in the encoder")


@dataclass(slots=True)
class StreamOpener:
    """Opens files as streams that exist already, by the names of the files."""

    streams: Mapping[str, bytes]
    piece: int = 100
    broken: bool = False
    """Where a stream ends, its encoder fails."""
    fingerprints: tuple[str, ...] = (FINGERPRINT,)
    computed: dict[str, int] = field(default_factory=dict)
    """Bytes asked for, by name."""

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file."""
        data = self.streams[path.name]
        if not data.startswith(prefix):
            raise PrefixMismatch("the prefix is of another picture")
        header, _ = Header.parse(data)
        pixels = header.width * header.height
        pieces = self._pieces(path.name, data, len(prefix))
        return Source(pixels=pixels, model=header.model, pieces=pieces)

    def _pieces(self, name: str, data: bytes, first: int) -> Iterator[bytes]:
        for start in range(first, len(data), self.piece):
            self.computed[name] = min(start + self.piece, len(data))
            yield data[start : start + self.piece]
        if self.broken:
            raise RuntimeError("a bug in the encoder")


@dataclass(frozen=True, slots=True)
class FakePicture:
    """A picture whose every value is the number of bytes it was made of, modulo 256."""

    image: NDArray[np.uint8]
    bytes: int
    bpp: float
    predicted_psnr: float | None
    description: Mapping[str, str]


class FakeDecoder:
    """Shows something from the first byte after the header; checks the header."""

    def __init__(self, fingerprints: tuple[str, ...]) -> None:
        self.data = b""
        self._fingerprints = fingerprints

    @property
    def ready(self) -> bool:
        """Whether there is something to show."""
        return len(self.data) > HEADER

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        self.data += data
        if len(self.data) >= HEADER:
            header, _ = Header.parse(self.data[:HEADER])
            if self._fingerprints and header.model not in self._fingerprints:
                raise UnknownModel(header.model)

    def render(self, method: Method = "mmse") -> FakePicture:
        """Return a grey picture."""
        if not self.ready:
            raise NothingDecodable("nothing to see yet")
        size = len(self.data)
        return FakePicture(
            image=np.full((HEIGHT, WIDTH, 3), size % 256, np.uint8),
            bytes=size,
            bpp=8 * size / (WIDTH * HEIGHT),
            predicted_psnr=20 + size / 1000,
            description={"bytes": str(size), "render": str(method)},
        )


@dataclass(frozen=True, slots=True)
class FakeDecoders:
    """Makes fake decoders, and remembers them."""

    fingerprints: tuple[str, ...] = (FINGERPRINT,)
    made: list[FakeDecoder] = field(default_factory=list)

    def new(self) -> FakeDecoder:
        """Return a new one."""
        self.made.append(FakeDecoder(self.fingerprints))
        return self.made[-1]


# For the type checker: these can stand in for the real ones.
_opener: Opener = FakeOpener()
_streams: Opener = StreamOpener({})
_decoders: Decoders = FakeDecoders()
_decoder: StreamDecoder = FakeDecoder(())
