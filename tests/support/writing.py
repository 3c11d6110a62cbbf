"""An opener whose streams obey the grammar, and can be gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffc_server import Opener, Source
from diffc_stream.container import Header, Prefix, Step, StreamWriter
from diffc_stream.container.grammar import Kind
from diffc_stream.errors import PrefixMismatch

FINGERPRINT = "0f0f0f0f"
STEPS = 20
STEP = 400
"""Bytes of a step, and some for its description."""


class WriterOpener:
    """Opens any file as a proper stream whose payloads follow from ``salt``."""

    def __init__(self, salt: int = 1) -> None:
        self.fingerprints: tuple[str, ...] = (FINGERPRINT,)
        self.computed = 0
        """Bytes."""
        self.prefixes: list[int] = []
        """How many bytes it was asked to go on from, each time."""
        self.refuses = False
        """It can go on from none."""
        self._salt = salt

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file."""
        self.prefixes.append(len(prefix))
        if self.refuses and prefix:
            raise PrefixMismatch("refused")
        model = model or self.fingerprints[0]
        pieces = Prefix(prefix).beyond(self._pieces(model, len(prefix)))
        return Source(pixels=600, model=model, pieces=pieces)

    def _pieces(self, model: str, held: int) -> Iterator[bytes]:
        writer = StreamWriter()
        head = writer.header(Header(model=model, width=30, height=20, seed=0))
        for number in range(STEPS):
            payload = bytes([number * self._salt % 256]) * STEP
            step = Step(kind=Kind.REFINE, length=len(payload), delta_code=7)
            piece = head + writer.step(step, payload)
            self.computed += max(0, min(len(piece), writer.written - held))
            yield piece
            head = b""
        yield writer.check()


def stream(salt: int = 1) -> bytes:
    """Return the whole stream of any picture."""
    return b"".join(WriterOpener(salt).open(Path()).pieces)


_opener: Opener = WriterOpener()
