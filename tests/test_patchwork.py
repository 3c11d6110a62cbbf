"""Pictures of what has arrived, whatever came first."""

import itertools
import random

import numpy as np
import pytest
from sources import LARGE, long_stream, model

from diffc_stream.codec import Decoder, Patchwork
from diffc_stream.codec.patchwork import LEAST_KNOWN
from diffc_stream.packets import Broadcast, Receiver
from diffc_stream.packets.text import records


def fresh(parts: list[bytes | int]) -> Decoder:
    decoder = Decoder([model(LARGE)])
    for part in parts:
        if isinstance(part, bytes):
            decoder.feed(part)
        else:
            decoder.skip(part)
    return decoder


@pytest.mark.parametrize("seed", range(2))
def test_the_picture_is_that_of_the_parts_whatever_came_before(seed: int) -> None:
    drawn, receiver, patchwork = random.Random(seed), Receiver(), Patchwork([model(LARGE)])
    packets = list(Broadcast(long_stream(), size=64, budget=1200))
    order = [packet for packet in packets if drawn.random() < 0.7]
    if seed:
        drawn.shuffle(order)
    for packet in order + packets:
        receiver.take(packet)
        gathered = receiver.newest
        assert gathered is not None
        if parts := list(gathered.parts()):
            decoder, expected = patchwork.decoder(parts), fresh(parts)
            if expected.bytes_lost and not decoder.bytes_lost:  # what follows the gap was no use
                expected = fresh(parts[:1])
            assert decoder.bytes_received == expected.bytes_received
            assert decoder.steps == expected.steps
            if drawn.random() < 0.3:
                assert np.array_equal(decoder.render().image, expected.render().image)
    assert decoder.bytes_lost == 0


def test_what_is_known_is_not_decoded_again() -> None:
    data = long_stream()
    patchwork = Patchwork([model(LARGE)])
    first = patchwork.decoder([data[:400], 50, data[450:700]])
    steps, again = first.steps, patchwork.decoder([data[:400], 50, data[450:900]])
    assert again is first
    assert (again.steps, again.bytes_received) == (max(steps, again.steps), 850)
    filled = patchwork.decoder([data[:900]])
    assert filled is not first
    assert filled is patchwork.decoder([data[:950]])
    assert filled.bytes_received == 950


def test_what_tells_nothing_is_left_out() -> None:
    data = long_stream()
    patchwork = Patchwork([model(LARGE)])
    # Nearly all of the first steps is missing, so that what follows is about another estimate.
    places = [place for place, said in records(data, end=len(data)) if said][2:9]
    parts: list[bytes | int] = [data[: places[0]]]
    for place, after in itertools.pairwise(places):
        parts += [data[place : place + 1], after - place - 1]
    parts.append(data[places[-1] : places[-1] + 20])
    assert fresh(parts).known < LEAST_KNOWN
    decoder = patchwork.decoder(parts)
    assert (decoder.bytes_received, decoder.bytes_lost) == (places[0], 0)
