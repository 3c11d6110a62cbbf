"""The codec: it turns pictures into streams and back.

It combines the mathematics (:mod:`diffc_stream.diffusion`), the coding of random samples
(:mod:`diffc_stream.channel`) and the byte format (:mod:`diffc_stream.container`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from diffc_stream.codec.curve import Curve as Curve
    from diffc_stream.codec.decoder import METHODS as METHODS
    from diffc_stream.codec.decoder import Decoder as Decoder
    from diffc_stream.codec.decoder import Method as Method
    from diffc_stream.codec.decoder import Rendering as Rendering
    from diffc_stream.codec.encode_report import EncodeReport as EncodeReport
    from diffc_stream.codec.encoder import Encoder as Encoder
    from diffc_stream.codec.encoder import prepare as prepare
    from diffc_stream.codec.held import Held as Held
    from diffc_stream.codec.patchwork import Patchwork as Patchwork
    from diffc_stream.codec.schedule import Schedule as Schedule

# Imported on demand: a Curve needs no model, and should not load what it takes to run one.
_HOMES = {
    "METHODS": "decoder",
    "Curve": "curve",
    "Decoder": "decoder",
    "EncodeReport": "encode_report",
    "Encoder": "encoder",
    "Held": "held",
    "Method": "decoder",
    "Patchwork": "patchwork",
    "Rendering": "decoder",
    "Schedule": "schedule",
    "prepare": "encoder",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
