"""The codec: pictures to streams and back, composed of diffusion, channel and container."""

from diffc_stream.codec.decoder import METHODS, Decoder, Method, Rendering
from diffc_stream.codec.encoder import Encoder, EncodeReport, prepare
from diffc_stream.codec.schedule import Schedule

__all__ = [
    "METHODS",
    "Decoder",
    "EncodeReport",
    "Encoder",
    "Method",
    "Rendering",
    "Schedule",
    "prepare",
]
