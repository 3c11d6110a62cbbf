"""What this side decodes with.

Protocols, so that everything else here can be tested, and used, without models.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream.container.metadata import NOTHING as UNKNOWN
from diffc_stream.container.metadata import Metadata
from diffc_stream.flags import MAX_PIXELS

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

Method = Literal["mmse", "flow", "ancestral"] | float
"""How pictures are made of what has come: ``mmse`` is closest to the original, the other two
look real and synthesise detail; a number is anything between mmse (0) and flow (1)."""


class Picture(Protocol):
    """A picture of what has come so far."""

    @property
    def image(self) -> NDArray[np.uint8]: ...

    @property
    def bytes(self) -> int: ...

    @property
    def bpp(self) -> float: ...

    @property
    def predicted_psnr(self) -> float | None: ...

    @property
    def description(self) -> Mapping[str, str]: ...


def metadata_of(picture: Picture) -> Metadata:
    """Return how a picture was taken; decoders that others have made may know of none."""
    known = getattr(picture, "metadata", UNKNOWN)
    return known if isinstance(known, Metadata) else UNKNOWN


class StreamDecoder(Protocol):
    """Turns the bytes of one stream into pictures; used by one thread at a time."""

    @property
    def ready(self) -> bool: ...

    def feed(self, data: bytes) -> None: ...

    def render(self, method: Method = "mmse") -> Picture: ...


class Decoders(Protocol):
    """Makes a decoder for every stream."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the models at hand, of which senders are told the first 16.

        None at all mean that any stream is welcome.
        """
        ...

    def new(self) -> StreamDecoder:
        """Return a decoder that has seen nothing yet."""
        ...


class ModelDecoders:
    """Decoders with the models at hand, each loaded when the first stream names it."""

    def __init__(self, models: Mapping[str, Model], *, max_pixels: int = MAX_PIXELS) -> None:
        """Decode with ``models``, by fingerprint; streams of larger pictures are refused."""
        self._models = models
        self._max_pixels = max_pixels

    @classmethod
    def load(cls, given: Path | None = None, *, max_pixels: int = MAX_PIXELS) -> ModelDecoders:
        """Find the models at hand (see ``diffc models``), and that in the file ``given``, if any.

        Streams of pictures of more than ``max_pixels`` pixels are refused.

        Takes a second or two.  Raises UnreadableModel.
        """
        # What takes long: new() is called where nobody should wait for it.
        from diffc_stream import codec  # noqa: F401
        from diffc_stream.diffusion.collection import Collection

        return cls(Collection.at_hand(given), max_pixels=max_pixels)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the models."""
        return tuple(self._models)

    def new(self) -> StreamDecoder:
        """Return a decoder that has seen nothing yet."""
        from diffc_stream.codec import Decoder

        return Decoder(self._models, most_pixels=self._max_pixels)
