"""The codec: pictures to streams and back, composed of diffusion, channel and container."""

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
    from diffc_stream.codec.schedule import Schedule as Schedule

# On demand: a curve is told without a model, and without what it takes to run one.
_HOMES = {
    "METHODS": "decoder",
    "Curve": "curve",
    "Decoder": "decoder",
    "EncodeReport": "encode_report",
    "Encoder": "encoder",
    "Method": "decoder",
    "Rendering": "decoder",
    "Schedule": "schedule",
    "prepare": "encoder",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
