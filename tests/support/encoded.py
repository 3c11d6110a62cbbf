"""What of a stream tests of the encoder look at."""

from sources import model, picture

from diffc_stream.codec import Decoder
from diffc_stream.container import Kind, Step, StreamReader
from diffc_stream.metrics import psnr


def kinds(data: bytes) -> list[Kind]:
    return [event.kind for event in StreamReader().feed(data) if isinstance(event, Step)]


def shown_psnr(data: bytes) -> float:
    decoder = Decoder([model()])
    decoder.feed(data)
    return psnr(decoder.render().image, picture())
