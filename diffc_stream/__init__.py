"""Progressive image streaming: any prefix of a stream is a picture, and every byte sharpens it.

An :class:`Encoder` turns a picture into a stream, and a :class:`Decoder` turns as much of the
stream as has arrived into a picture::

    picture = load_picture(Path("photo.jpg"))
    stream = b"".join(Encoder(picture, default_model(), target_bytes=2000))

    decoder = Decoder([default_model()])
    decoder.feed(stream[:1500])
    save_png(Path("photo.png"), decoder.render().image)

The words that the documentation of this package takes for granted:

observation
    What both ends know of the picture so far: the picture plus noise.  The stream makes it less and
    less noisy.
snr
    Signal-to-noise ratio of the observation: 0 means that nothing is known.
denoiser
    The neural network that guesses the clean picture behind an observation.  Its guess, x_hat, is
    the posterior mean: the average of all pictures that fit the observation.
octave
    A halving of the picture's size.  Octave 0 is the full picture, octave 1 half its width and
    height, and so on.  A stream starts in the coarsest octave.
step
    One record of the stream.  It *refines* the observation (raises its snr) or *opens* the next
    finer octave (adds its detail).
reverse channel coding, or channel simulation
    How a step is coded.  The sender does not send numbers; it sends which of many random vectors,
    which both ends can draw by themselves (*shared randomness*), looks like a noisy view of the
    picture.  That costs about as many bits as the receiver learns.

Names are imported on first use (PEP 562), so that importing a leaf such as
:mod:`diffc_stream.session` does not load NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from diffc_stream.codec import Decoder as Decoder
    from diffc_stream.codec import Encoder as Encoder
    from diffc_stream.codec import EncodeReport as EncodeReport
    from diffc_stream.codec import Rendering as Rendering
    from diffc_stream.diffusion.collection import Collection as Collection
    from diffc_stream.diffusion.collection import default_model as default_model
    from diffc_stream.diffusion.model import Model as Model
    from diffc_stream.diffusion.model import load_model as load_model
    from diffc_stream.errors import DiffcError as DiffcError
    from diffc_stream.metrics import bits_per_pixel as bits_per_pixel
    from diffc_stream.metrics import psnr as psnr
    from diffc_stream.picture import load_picture as load_picture
    from diffc_stream.picture import png_bytes as png_bytes
    from diffc_stream.picture import save_png as save_png

_HOMES = {
    "Collection": "diffusion.collection",
    "Decoder": "codec",
    "DiffcError": "errors",
    "EncodeReport": "codec",
    "Encoder": "codec",
    "Model": "diffusion.model",
    "Rendering": "codec",
    "bits_per_pixel": "metrics",
    "default_model": "diffusion.collection",
    "load_model": "diffusion.model",
    "load_picture": "picture",
    "png_bytes": "picture",
    "psnr": "metrics",
    "save_png": "picture",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
