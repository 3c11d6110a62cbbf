"""Small pictures for a gallery that shows many at once, without decoding any."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.bulk.encoding import Encoded
from diffc_stream.codec import Decoder
from diffc_stream.codec.curve import beginning

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

SIDE = 256
"""Pixels of the longer side, at most."""
QUALITY = 50
SUFFIX = ".webp"


def thumbnail(encoded: Encoded, models: Mapping[str, Model]) -> bytes:
    """Return a small picture as WebP: of the original, or of what the stream decodes to.

    Raises StreamError, or UnknownModel if the stream's model is not among ``models``.
    """
    pixels = encoded.pixels if encoded.pixels is not None else _decoded(encoded.stream, models)
    small = Image.fromarray(np.ascontiguousarray(pixels))
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def _decoded(stream: bytes, models: Mapping[str, Model]) -> NDArray[np.uint8]:
    decoder = Decoder(models)
    decoder.feed(beginning(stream, SIDE))
    return decoder.render(max_side=SIDE).image
