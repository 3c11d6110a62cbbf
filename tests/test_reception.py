"""The picture of a broadcast, and what is said of it."""

import pytest
from sources import LARGE, collection, long_stream, model

from diffc_stream.errors import NothingDecodable
from diffc_stream.packets import Broadcast, Outcome
from diffc_stream.reception import Reception

MODELS = collection(model(LARGE))


def test_it_shows_what_there_is() -> None:
    reception = Reception(MODELS)
    with pytest.raises(NothingDecodable):
        reception.render()
    assert str(reception.progress) == "0 packets, 0 duplicates, ? of ? pieces missing"
    broadcast = Broadcast(long_stream(), size=200, budget=2000, station="DL0ABC")
    packets = list(broadcast)
    reception.take(packets[1])
    first = reception.render()
    assert reception.progress.missing == broadcast.pieces - 1
    for packet in packets:
        reception.take(packet)
    assert reception.render().predicted_psnr > first.predicted_psnr
    assert reception.progress.complete
    assert reception.progress.station == "DL0ABC"
    assert reception.stream == long_stream()[: broadcast.stream_bytes]
    assert reception.take(b"noise") is Outcome.DAMAGED
    assert reception.progress.damaged == 1


def test_another_stream_is_another_picture() -> None:
    reception = Reception(MODELS)
    for budget in (1000, 2000):
        for packet in Broadcast(long_stream(), size=200, budget=budget):
            reception.take(packet)
        assert reception.render().bytes == len(reception.stream)
