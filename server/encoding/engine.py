"""Which encoder makes a stream: senders whose encoders have the same mark make the same bytes.

The bytes follow from the picture, the model and what computes with them.  So entity tags are hashes
of all three, and equal for all senders that compute with the same versions on the same kind of
processor; an encoder that may round differently has another mark, and so other tags.
"""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import diffc_stream

from ..cache.store import MAKER
from .stream_file import entity_tag

_LIBRARIES = ("numpy", "onnxruntime", "numba", "constriction", "torch", "Pillow", "pi-heif")
_CODE = ("channel", "codec", "container", "diffusion", "imaging")
"""Packages that decide what a stream is, ..."""
_MODULES = ("picture", "references")
"""... and modules."""
_PROCESSORS = Path("/proc/cpuinfo")
_FACTS = ("model name", "flags", "CPU part", "Features")
"""What Linux says of a processor, on x86 and on ARM."""


@cache
def mark() -> str:
    """Return the mark of this process's encoders, MAKER hex digits.

    It is a hash of the library's code, the versions of what it computes with, and the processor.
    """
    digest = hashlib.sha256()
    for name in _LIBRARIES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        digest.update(f"{name} {version}\n".encode())
    home = Path(diffc_stream.__file__).parent
    code = [path for folder in _CODE for path in sorted((home / folder).rglob("*.py"))]
    for path in [*code, *(home / f"{name}.py" for name in _MODULES)]:
        digest.update(path.read_bytes())
    digest.update("\n".join(_processor()).encode())
    return digest.hexdigest()[:MAKER]


class Provenance:
    """Which encoders have made a stream so far."""

    def __init__(self, engine: str) -> None:
        """Begin a stream that the encoder with the mark ``engine`` makes."""
        self.maker = engine
        """Equal for streams that are the same as far as they go, and will be."""
        self._engine = self._own = engine

    def took(self, maker: str) -> None:
        """Note that all bytes are now those of a stream with this maker."""
        self.maker = maker

    def ahead(self, length: int) -> str:
        """Return the maker if this sender's encoder goes on after ``length`` bytes."""
        if not length:
            return self._engine
        if self.maker in (self._engine, self._own):
            return self.maker
        facts = f"{self.maker} {length} {self._engine}"
        return hashlib.sha256(facts.encode()).hexdigest()[:MAKER]

    def went_on(self, length: int) -> None:
        """Note that this sender's encoder goes on after ``length`` bytes."""
        self.maker = self._own = self.ahead(length)


def entity_tag_of(key: str, maker: str) -> str:
    """Return the strong entity tag of a stream with this key, and this maker in the end."""
    return entity_tag(hashlib.sha256(f"{key} {maker}".encode()).hexdigest())


def _processor() -> list[str]:
    """Return what is known of the processor's kind."""
    known = [platform.machine(), platform.system(), platform.libc_ver()[1]]
    try:
        lines = _PROCESSORS.read_text().splitlines()
    except OSError:
        # Not known well enough to say that another machine is of the same kind.
        return [*known, platform.processor(), platform.node(), os.name]
    return [*known, *sorted({line for line in lines if line.startswith(_FACTS)})]
