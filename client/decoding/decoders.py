"""What decodes streams: protocols, and their implementation with models.

The rest of the client uses the protocols only, so that it works, and can be tested, without models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffc_stream.container import Reference
from diffc_stream.container.metadata import NOTHING as UNKNOWN
from diffc_stream.container.metadata import Metadata
from diffc_stream.flags import MAX_PIXELS

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model
    from diffc_stream.references import Pictures

Finder = Callable[[Reference], bytes | None]
"""Returns the bytes that a stream's header names, or None."""
Method = Literal["mmse", "flow", "ancestral"] | float
"""How to render a picture from the bytes so far.  ``mmse`` is closest to the original (least mean
squared error); the other two look real, and synthesise detail.  A number blends from mmse (0) to
flow (1)."""


class Picture(Protocol):
    """A picture decoded from the bytes so far."""

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
    """Return a picture's metadata; decoders of third parties may not have the attribute."""
    known = getattr(picture, "metadata", UNKNOWN)
    return known if isinstance(known, Metadata) else UNKNOWN


class StreamDecoder(Protocol):
    """Turns the bytes of one stream into pictures; used on one thread at a time."""

    @property
    def ready(self) -> bool: ...

    def feed(self, data: bytes) -> None: ...

    def render(self, method: Method = "mmse") -> Picture: ...


class Decoders(Protocol):
    """Makes a decoder for each stream."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the installed models; senders are told the first 16.

        An empty tuple accepts streams of any model.
        """
        ...

    def new(self) -> StreamDecoder:
        """Return a new decoder for a stream."""
        ...


@runtime_checkable
class ReferringDecoders(Decoders, Protocol):
    """Makes decoders of streams that start from a picture, too."""

    def starting(self, find: Finder) -> StreamDecoder:
        """Return a new decoder; ``find``, which it calls on its thread, has what streams name."""
        ...


def decoder_finding(decoders: Decoders, find: Finder) -> StreamDecoder:
    """Return a new decoder; those of third parties need not know references."""
    return decoders.starting(find) if isinstance(decoders, ReferringDecoders) else decoders.new()


class ModelDecoders:
    """Decoders with the installed models, each loaded when a stream first names it."""

    def __init__(self, models: Mapping[str, Model], *, max_pixels: int = MAX_PIXELS) -> None:
        """Decode with ``models``, by fingerprint; refuse pictures of more than ``max_pixels``."""
        self._models = models
        self._max_pixels = max_pixels
        self._pictures: Pictures | None = None
        """Those that streams have started from; made late, because that brings the codec."""

    @classmethod
    def load(cls, given: Path | None = None, *, max_pixels: int = MAX_PIXELS) -> ModelDecoders:
        """Find the installed models (see ``diffc models``), and the one in the file ``given``.

        Streams of pictures of more than ``max_pixels`` pixels are refused.

        Takes a second or two.  Raises UnreadableModel.
        """
        # Import the slow part now: new() may be called on an event loop.
        from diffc_stream import codec  # noqa: F401
        from diffc_stream.diffusion.collection import Collection

        return cls(Collection.at_hand(given), max_pixels=max_pixels)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the models."""
        return tuple(self._models)

    def new(self) -> StreamDecoder:
        """Return a new decoder for a stream."""
        from diffc_stream.codec.decoder import no_references

        from .any_decoder import AnyDecoder

        return AnyDecoder(self._models, most_pixels=self._max_pixels, references=no_references)

    def starting(self, find: Finder) -> StreamDecoder:
        """Return a new decoder for a stream that may start from what ``find`` has."""
        from diffc_stream.references import Pictures, References

        from .any_decoder import AnyDecoder

        if self._pictures is None:
            self._pictures = Pictures()
        references = References(
            self._models, find, pictures=self._pictures, most_pixels=self._max_pixels
        )
        return AnyDecoder(self._models, most_pixels=self._max_pixels, references=references)
