"""Open and save streams with Pillow, and with what reads through it, such as imageio::

    import diffc_stream.pillow
    from PIL import Image

    diffc_stream.pillow.register()
    Image.open("photo.jpg").save("photo.dfc", bpp=0.2)

    image = Image.open("photo.dfc")           # or the beginning of one: as much as is there
    image.thumbnail((200, 200))               # decodes only what a thumbnail shows
    Image.open("photo.dfc").prefix(2000)      # what the first 2,000 bytes show

``save`` takes ``bpp=`` or ``bytes=``, the size of the stream; without either it goes on to top
quality.  What ``exif=`` says of when, where and with which camera the picture was taken goes into
the stream, as with other formats only if it is passed; a picture that it says is turned is encoded
upright, because streams do not say so.

As for other truncated pictures, a stream with a damaged part raises OSError when it is loaded,
unless ``PIL.ImageFile.LOAD_TRUNCATED_IMAGES`` is set: then what comes before the damage is shown.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from diffc_stream.codec import Decoder, Encoder
from diffc_stream.codec.curve import beginning
from diffc_stream.codec.decoder import Method
from diffc_stream.container import Header, Metadata, verified
from diffc_stream.container.grammar import MAGIC, MOST_HEADER, STREAM_SUFFIX
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.collection import Collection, default_model
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import DiffcError, StreamError
from diffc_stream.imaging import capture
from diffc_stream.picture import MOST_BYTES, load_photograph

FORMAT = "DFC"
SUFFIX = STREAM_SUFFIX
MIME = "application/vnd.diffc"
_AS_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"})
"""Modes that PNG holds without a loss."""


def register(models: Mapping[str, Model] | None = None, *, render: Method = "mmse") -> None:
    """Teach Pillow the format, for this process; calling it again changes only the arguments.

    ``models``, by fingerprint, decode, and the first of them encodes; None: those of this
    installation.  ``render`` is as for :meth:`~diffc_stream.codec.Decoder.render`.
    """
    StreamImage.models, StreamImage.render = models, render
    Image.register_open(FORMAT, StreamImage, _accepts)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME)


class StreamImage(ImageFile.ImageFile):
    """A stream, or the beginning of one, as a Pillow image; decoded when it is first needed.

    ``info`` has ``"bytes"``, ``"bpp"`` and ``"predicted_psnr"`` of what is shown, in dB as mmse,
    and ``"exif"`` if the stream says how the picture was taken, once it is loaded; from the
    beginning ``"model"``, the fingerprint of the model that it takes.
    """

    format = FORMAT
    format_description = "DiffC progressive stream"
    models: Mapping[str, Model] | None = None
    render: Method = "mmse"
    _limit: int | None = None
    _side: int | None = None
    _stream: bytes | None = None
    _decoded = False

    def prefix(self, length: int) -> None:
        """Show what the first ``length`` bytes of the stream give, before or after loading.

        Loading raises OSError if they are too few for any picture.
        """
        if length < 1:
            raise ValueError(f"a prefix of {length} bytes: at least 1")
        self._read()
        self._limit, self._decoded = length, False

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Load a halved picture, the smallest that has at least ``size``: Image.thumbnail does so.

        What only a larger one shows is not decoded.  ``mode`` is not heeded: pictures are RGB.
        Returns the mode and the box of the picture in it; None if nothing changes, as after
        loading.
        """
        del mode
        if size is None or self._decoded:
            return None
        sizes = octaves.sizes(self.height, self.width)
        enough = [s for s in sizes if s[1] >= size[0] and s[0] >= size[1]]
        if len(enough) < 2:
            return None
        height, width = enough[-1]
        self._side, self._size = max(height, width), (width, height)
        return self.mode, (0, 0, float(width), float(height))

    def load(self) -> Any:
        """Decode, if it has not been done.  Raises OSError if that is impossible."""
        if not self._decoded and self.tile is not None:
            self._decode(self._read())
        return super().load()

    def _open(self) -> None:
        """Read the header.  Raises SyntaxError if there is none: other formats may fit."""
        assert self.fp is not None
        try:
            header = Header.at(self.fp.read(MOST_HEADER))
        except StreamError as error:
            raise SyntaxError(str(error)) from error
        if header is None:
            raise SyntaxError("the header is incomplete")
        self._mode, self._size = "RGB", (header.width, header.height)
        self.info["model"] = header.model

    def _read(self) -> bytes:
        """Return all bytes of the file.  Raises OSError, also if they are too many."""
        if self._stream is None:
            assert self.fp is not None
            self.fp.seek(0)
            self._stream = self.fp.read(MOST_BYTES + 1)
            if len(self._stream) > MOST_BYTES:
                raise OSError(f"larger than {MOST_BYTES} bytes, not a stream")
        return self._stream

    def _decode(self, stream: bytes) -> None:
        data = stream[: self._limit]
        good, damage = verified(data)
        if damage is not None and not ImageFile.LOAD_TRUNCATED_IMAGES:
            raise OSError(f"{damage} (ImageFile.LOAD_TRUNCATED_IMAGES shows what comes before)")
        try:
            decoder = Decoder(Collection.at_hand() if self.models is None else self.models)
            decoder.feed(good if self._side is None else beginning(good, self._side))
            rendering = decoder.render(self.render, max_side=self._side)
        except DiffcError as error:
            raise OSError(str(error)) from error
        picture = Image.fromarray(rendering.image)
        self._size, self.im = picture.size, picture.im
        self.tile, self._decoded = [], True
        self.info["bytes"] = rendering.bytes
        self.info["bpp"] = rendering.bpp
        self.info["predicted_psnr"] = rendering.predicted_psnr
        self.info.update(rendering.description)
        if rendering.metadata:
            self.info["exif"] = capture.exif_of(rendering.metadata).tobytes()


def _accepts(head: bytes) -> bool:
    return head.startswith(MAGIC)


def _save(image: Image.Image, file: IO[bytes], _name: str | bytes) -> None:
    """Encode for ``image.save``.  Raises ValueError for arguments and OSError for pictures."""
    wanted: Mapping[str, Any] = image.encoderinfo
    bpp, size = wanted.get("bpp"), wanted.get("bytes")
    if bpp is not None and size is not None:
        raise ValueError("bpp and bytes both say how large the stream gets: give one of them")
    if bpp is not None:
        size = int(bpp * image.width * image.height / 8)
    try:
        models = StreamImage.models
        model = default_model() if models is None else next(iter(models.values()))
        pixels, metadata = _photograph(image, wanted.get("exif") or b"")
        for piece in Encoder(pixels, model, target_bytes=size, metadata=metadata):
            file.write(piece)
    except DiffcError as error:
        raise OSError(str(error)) from error


def _photograph(image: Image.Image, exif: Image.Exif | bytes) -> tuple[NDArray[np.uint8], Metadata]:
    """Return an image of any mode as sRGB, upright, and what ``exif`` says of it.

    It is read as a file of it would be.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if image.mode in _AS_PNG else "TIFF", exif=exif, compress_level=0)
    return load_photograph(buffer.getvalue())
