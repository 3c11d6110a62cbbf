"""Progressive image streaming by reverse channel coding and a diffusion model.

What is exported here is loaded when it is first used (PEP 562), so that importing a leaf such as
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
