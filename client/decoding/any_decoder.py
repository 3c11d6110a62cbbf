"""Decodes the stream of a picture, or of a clip, of which it shows the first picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips import ClipDecoder
from diffc_stream.clips.group import MOST_PIXELS
from diffc_stream.codec import Decoder
from diffc_stream.container import Header, Reference
from diffc_stream.container.metadata import NOTHING, Metadata
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import NothingDecodable

from .decoders import Method, Picture

References = Callable[[Reference], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Still:
    """A picture of a clip, made of the bytes that have arrived."""

    image: NDArray[np.uint8]
    """8-bit sRGB, (H, W, 3)."""
    bytes: int
    bpp: float
    """Bits for each pixel of the whole clip."""
    predicted_psnr: float | None
    """Mean of all pictures that have begun, in dB."""
    description: Mapping[str, str]
    metadata: Metadata = field(default=NOTHING)


class AnyDecoder:
    """A decoder that becomes one for pictures or one for clips when the header has arrived.

    All is as for :class:`~diffc_stream.codec.Decoder`.
    """

    def __init__(
        self, models: Mapping[str, Model], *, most_pixels: int, references: References
    ) -> None:
        """Decode with ``models``, by fingerprint; refuse more than ``most_pixels`` pixels."""
        self._models = models
        self._most_pixels = most_pixels
        self._references = references
        self._head = b""
        self._chosen: Decoder | ClipDecoder | None = None

    @property
    def ready(self) -> bool:
        """Whether enough has arrived for a picture."""
        return self._chosen is not None and self._chosen.ready

    def feed(self, data: bytes) -> None:
        """Take more bytes of the stream."""
        if self._chosen is None:
            self._head += data
            header = Header.at(self._head)
            if header is None:
                return
            if header.clip is None:
                self._chosen = Decoder(
                    self._models, most_pixels=self._most_pixels, references=self._references
                )
            else:
                most = min(self._most_pixels, MOST_PIXELS)
                self._chosen = ClipDecoder(self._models, most_pixels=most)
            data, self._head = self._head, b""
        self._chosen.feed(data)

    def render(self, method: Method = "mmse") -> Picture:
        """Return the picture of everything that has arrived; those of clips are always mmse."""
        chosen = self._chosen
        if chosen is None:
            raise NothingDecodable("nothing can be decoded yet: the stream has just begun")
        if isinstance(chosen, Decoder):
            return chosen.render(method)
        header = chosen.header
        assert header is not None
        return Still(
            image=chosen.render(0),
            bytes=chosen.bytes_received,
            bpp=8 * chosen.bytes_received / header.pixels,
            predicted_psnr=chosen.predicted_psnr(),
            description={
                "diffc-bytes": str(chosen.bytes_received),
                "diffc-render": "mmse",
                "Comment": f"The first of {len(chosen)} pictures of a clip.",
            },
            metadata=chosen.metadata,
        )
