"""Decoders that know what a stream starts from, because another has found it, or a file has it."""

from __future__ import annotations

from pathlib import Path

from diffc_stream.container import Reference

from ..decoding.decoders import Decoders, Finder, StreamDecoder, decoder_finding
from ..storage.references import name_beside


class RememberingDecoders:
    """Makes decoders of one stream; each finds what the first found that it starts from."""

    def __init__(self, decoders: Decoders, *, file: Path | None = None) -> None:
        """Decode by ``decoders`` a stream that comes from elsewhere, or is in a ``file``."""
        self._decoders = decoders
        self._file = file
        self._find: Finder = self._beside

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the models."""
        return self._decoders.fingerprints

    def new(self) -> StreamDecoder:
        """Return a new decoder, which finds what was found before."""
        return decoder_finding(self._decoders, self._find)

    def starting(self, find: Finder) -> StreamDecoder:
        """Return a new decoder that finds by ``find``, as those do that follow."""
        self._find = find
        return decoder_finding(self._decoders, find)

    def _beside(self, reference: Reference) -> bytes | None:
        """Return the beginning of the stream beside the file.  Raises MissingReference."""
        if self._file is None:
            return None
        path = self._file.with_name(name_beside(self._file.name, reference, files=True))
        try:
            with path.open("rb") as file:
                return file.read(reference.size)
        except OSError:
            return None
