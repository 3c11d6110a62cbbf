"""The picture of a broadcast, and what is said of it."""

from collections.abc import Iterator

import camera
import pytest
from sources import LARGE, collection, long_stream, model

from diffc_stream.container import Header, Reference
from diffc_stream.errors import MissingReference, NothingDecodable
from diffc_stream.packets import Broadcast, Outcome
from diffc_stream.reception import Reception, sharpening
from diffc_stream.references import References, among

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


def test_a_broadcast_may_start_from_a_picture_that_is_here() -> None:
    first, second = camera.streams(2)
    models = collection(camera.MODEL)
    for find in (among([]), among([first])):
        reception = Reception(models, references=References(models, find))
        for packet in Broadcast(second, size=64):
            reception.take(packet)
        if find(reference_of(second)) is None:
            with pytest.raises(MissingReference):
                reception.render()
    assert reception.render().bytes == len(second)


def reference_of(stream: bytes) -> Reference:
    reference = Header.parse(stream)[0].reference
    assert reference is not None
    return reference


def with_pauses() -> Iterator[bytes | None]:
    for number, packet in enumerate(Broadcast(long_stream(), size=200, budget=4000)):
        yield packet
        if number % 5 == 4:
            yield None
            yield None


def test_pictures_are_made_now_and_then() -> None:
    times = iter(range(1000))
    shown = sharpening(Reception(MODELS), with_pauses(), every=10, clock=lambda: float(next(times)))
    assert 2 <= sum(1 for _ in shown) <= 6


def test_pictures_are_made_where_packets_pause() -> None:
    reception = Reception(MODELS)
    taken = [reception.progress.packets for _ in sharpening(reception, with_pauses())]
    assert 3 <= len(taken) <= 5
    assert taken == sorted(set(taken))
    assert reception.progress.complete
