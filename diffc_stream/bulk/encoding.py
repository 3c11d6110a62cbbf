"""What one picture becomes: the stream that ``diffc encode`` makes of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffc_stream.container import Facts, Prefix
from diffc_stream.container.grammar import MAGIC, VERSION
from diffc_stream.container.metadata import DISCREET
from diffc_stream.errors import NothingDecodable
from diffc_stream.picture import load_photograph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffc_stream.codec import Held
    from diffc_stream.diffusion.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How far pictures are encoded: to the first of these that is given, or to top quality."""

    bytes: int | None = None
    """Largest size of a stream."""
    bpp: float | None = None
    """The same, in bits per pixel."""
    psnr: float | None = None
    """Quality in dB, as predicted, after whose step a stream ends."""
    facts: Facts = DISCREET
    """What streams say of how a picture was taken."""

    def key(self, model: str) -> str:
        """Return a text that differs whenever streams of the same picture may differ."""
        return f"{VERSION} {model} {self.bytes} {self.bpp} {self.psnr} {self.facts}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A stream, and the picture that it was made of."""

    stream: bytes
    width: int
    height: int
    model: str
    """Fingerprint of the model that decodes it."""
    psnr: float | None = None
    """Quality in dB, as predicted; None of what was a stream before."""
    pixels: NDArray[np.uint8] | None = None
    """The original, 8-bit sRGB, (H, W, 3); None of what was a stream before."""

    @property
    def sha256(self) -> str:
        """The stream's hash, in hex."""
        return hashlib.sha256(self.stream).hexdigest()


def encode(data: bytes, model: Model, settings: Settings, start: Held | None = None) -> Encoded:
    """Encode the picture in the file ``data``; it may start from the picture ``start``.

    Raises PictureError if it is none, TargetError if it cannot be made so small.
    """
    from diffc_stream.codec import Encoder

    pixels, metadata = load_photograph(data)
    height, width = pixels.shape[:2]
    target = settings.bytes
    if settings.bpp is not None:
        target = int(settings.bpp * width * height / 8)
    encoder = Encoder(
        pixels,
        model,
        target_bytes=target,
        metadata=metadata.only(settings.facts),
        reference=start,
    )
    stream = bytearray()
    for piece in encoder:
        stream += piece
        if settings.psnr is not None and encoder.chain.now().expected.psnr >= settings.psnr:
            break
    return Encoded(
        stream=bytes(stream),
        width=width,
        height=height,
        model=model.fingerprint,
        psnr=encoder.chain.now().expected.psnr,
        pixels=pixels,
    )


def is_stream(data: bytes) -> bool:
    """Tell whether the bytes of a file begin as a stream does."""
    return data.startswith(MAGIC)


def described(stream: bytes) -> Encoded:
    """Return what the header of a stream says.  Raises StreamError."""
    header = Prefix(stream).header
    if header is None:
        raise NothingDecodable("the stream ends within its header")
    return Encoded(stream=stream, width=header.width, height=header.height, model=header.model)
