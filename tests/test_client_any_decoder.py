"""Streams of pictures and of clips, as receivers decode them."""

import numpy as np
import pytest
from sources import by_scale, collection, picture

from diffc_client.decoding.any_decoder import AnyDecoder
from diffc_client.decoding.decoders import ModelDecoders
from diffc_stream.clips import ClipDecoder, ClipEncoder
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.errors import NothingDecodable, PictureTooLarge


def decoder(most_pixels: int = 10**6) -> AnyDecoder:
    made = ModelDecoders(collection(by_scale()), max_pixels=most_pixels).new()
    assert isinstance(made, AnyDecoder)
    return made


def clip() -> bytes:
    shown = [picture(1), picture(1)]
    return b"".join(ClipEncoder(shown, by_scale(), milliseconds=100, target_bytes=400))


def test_a_picture_is_decoded_as_ever() -> None:
    data = b"".join(Encoder(picture(), by_scale(), target_bytes=300))
    made, plain = decoder(), Decoder([by_scale()])
    for byte in data:
        assert not made.ready or made.render().bytes
        made.feed(bytes([byte]))
    plain.feed(data)
    assert np.array_equal(made.render().image, plain.render().image)


def test_of_a_clip_the_first_picture_is_shown() -> None:
    data, made, whole = clip(), decoder(), ClipDecoder([by_scale()])
    with pytest.raises(NothingDecodable):
        made.render()
    for start in range(0, len(data), 7):
        made.feed(data[start : start + 7])
    whole.feed(data)
    shown = made.render("flow")
    assert np.array_equal(shown.image, whole.render(0))
    assert (shown.bytes, shown.bpp) == (400, 400 * 8 / (2 * 64 * 64))
    assert "The first of 2 pictures" in shown.description["Comment"]


def test_limits_hold_for_all_pictures_together() -> None:
    with pytest.raises(PictureTooLarge):
        decoder(64 * 64).feed(clip())
