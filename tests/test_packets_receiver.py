"""What packets tell together: in any order, more than once, from several receivers, or damaged."""

import random
import tracemalloc
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import LARGE, long_stream, model, picture, stream

from diffc_stream.codec import Decoder
from diffc_stream.errors import NotAStream, TargetError
from diffc_stream.metrics import psnr
from diffc_stream.packets import Broadcast, Gathered, Kind, Outcome, Packet, Plan, Receiver


def sent(*, size: int, budget: int | None = None) -> list[bytes]:
    return list(Broadcast(long_stream(), size=size, budget=budget))


def heard(packets: list[bytes]) -> Gathered:
    receiver = Receiver()
    for packet in packets:
        receiver.take(packet)
    assert receiver.newest is not None
    return receiver.newest


def matches(gathered: Gathered, data: bytes) -> int:
    """See that the parts are those of ``data``, and return how many bytes are known."""
    place = known = 0
    for part in gathered.parts():
        if isinstance(part, bytes):
            assert data[place : place + len(part)] == part
            place, known = place + len(part), known + len(part)
        else:
            place += part
    assert place <= len(data)
    return known


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([64, 100, 200, 1400]), st.floats(0, 0.9), st.integers(0, 2**31))
def test_whatever_arrives_is_the_stream_with_gaps(size: int, loss: float, seed: int) -> None:
    drawn = random.Random(seed)
    packets = [packet for packet in sent(size=size) if drawn.random() >= loss]
    packets += [packet for packet in packets if drawn.random() < 0.1]
    drawn.shuffle(packets)
    if packets:
        gathered = heard(packets)
        known = matches(gathered, long_stream())
        assert known >= len(gathered.prefix)
        assert long_stream().startswith(gathered.prefix)
        assert gathered.complete == (gathered.prefix == long_stream())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_pooled_receivers_know_all_that_each_knows(seed: int) -> None:
    drawn = random.Random(seed)
    packets = sent(size=200)
    halves = [[packet for packet in packets if drawn.random() < 0.5] for _ in range(2)]
    alone = [heard(half) for half in halves if half]
    pooled = Receiver()
    for gathered in alone:
        for packet in gathered.sent():
            pooled.take(packet.encode())
    if pooled.newest is not None:
        known = matches(pooled.newest, long_stream())
        assert all(known >= matches(gathered, long_stream()) for gathered in alone)
        direct = heard(halves[0] + halves[1])
        assert known == matches(direct, long_stream())


def decoded(parts: Iterable[bytes | int]) -> float:
    """Return the PSNR of the picture of these parts of the long stream."""
    decoder = Decoder([model(LARGE)])
    for part in parts:
        if isinstance(part, bytes):
            decoder.feed(part)
        else:
            decoder.skip(part)
    assert decoder.bytes_received == sum(len(part) for part in parts if isinstance(part, bytes))
    return psnr(decoder.render().image, picture(0, LARGE))


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_of_what_arrived_is_nearly_that_of_as_many_first_bytes(seed: int) -> None:
    packets = sent(size=100, budget=3000)
    drawn = random.Random(seed)
    gathered = heard([packet for packet in packets if drawn.random() >= 0.4])
    parts = list(gathered.parts())
    reached, known = decoded(parts), matches(gathered, long_stream())
    assert reached > decoded([gathered.prefix]) + 1.0
    assert reached > decoded([long_stream()[:known]]) - 0.7


def test_each_packet_more_is_no_loss() -> None:
    packets = sent(size=200, budget=3000)
    drawn = random.Random(2)
    drawn.shuffle(packets)
    known = [matches(heard(packets[: count + 1]), long_stream()) for count in range(len(packets))]
    assert known == sorted(known)


def test_an_early_packet_is_a_picture_alone() -> None:
    broadcast = Broadcast(long_stream(), size=200)
    for entry in ((0, None), (1, 0), (1, 77)):
        decoder = Decoder([model(LARGE)])
        gathered = heard([broadcast.packet(entry)])
        assert list(gathered.parts()) == [gathered.prefix]
        decoder.feed(gathered.prefix)
        assert decoder.render().image.shape == (128, 128, 3)


def test_a_stream_is_cut_for_its_budget() -> None:
    for budget in (200, 1000, 3999, 12_000):
        broadcast = Broadcast(long_stream(), size=200, budget=budget)
        packets = list(broadcast)
        assert budget - 200 < sum(map(len, packets)) <= budget
        gathered = heard(packets)
        assert gathered.complete
        assert gathered.prefix == long_stream()[: broadcast.stream_bytes]
        overhead = broadcast.pieces * 193 - broadcast.stream_bytes
        assert overhead < 60, "the map and its head"


def test_outcomes_are_counted() -> None:
    first, second = sent(size=200), list(Broadcast(stream(1500), size=200, station="DL0ABC"))
    receiver = Receiver(wanted=Broadcast(long_stream(), size=200).identity)
    assert receiver.take(first[0]) is Outcome.NEW
    assert receiver.take(first[0]) is Outcome.KNOWN
    assert receiver.take(first[0][:-1]) is Outcome.DAMAGED
    assert receiver.take(second[0]) is Outcome.STATION
    assert receiver.take(second[1]) is Outcome.FOREIGN
    assert receiver.station == "DL0ABC"
    assert list(receiver.counts.values()) == [1] * 5


def test_a_packet_of_another_size_is_not_of_this_stream() -> None:
    receiver = Receiver()
    packets = sent(size=200)
    receiver.take(packets[0])
    forged = Packet(
        kind=Kind.PIECE, stream=Packet.parse(packets[0]).stream, place=1, body=bytes(90)
    )
    assert receiver.take(forged.encode()) is Outcome.FOREIGN


def test_what_is_not_the_named_text_is_forgotten() -> None:
    broadcast = Broadcast(stream(1500), size=200)
    receiver = Receiver()
    for number in range(1, broadcast.pieces):
        receiver.take(broadcast.packet((number, None)))
    gathered = receiver.newest
    assert gathered is not None
    body = bytearray(Packet.parse(broadcast.packet((1, 3))).body)
    body[100] ^= 1
    forged = Packet(kind=Kind.REPAIR, stream=broadcast.identity, place=0x103, body=bytes(body))
    receiver.take(forged.encode())
    assert gathered.distrusted == 1
    assert (gathered.complete, gathered.pieces) == (False, broadcast.pieces - 1)
    receiver.take(broadcast.packet((0, None)))
    assert gathered.complete
    assert gathered.prefix == stream(1500)


def test_memory_is_bounded_whatever_arrives() -> None:
    drawn = random.Random(1)
    receiver = Receiver(most_bytes=20_000)
    tracemalloc.start()
    try:
        for _ in range(3000):
            kind = drawn.choice([Kind.PIECE, Kind.REPAIR])
            place = drawn.randrange(65_536)
            if kind is Kind.REPAIR:
                place = drawn.randint(1, 128) << 8 | drawn.randrange(128)
            body = drawn.randbytes(193)
            receiver.take(
                Packet(kind=kind, stream=drawn.randrange(12), place=place, body=body).encode()
            )
            receiver.take(drawn.randbytes(drawn.randrange(300)))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert len(receiver.streams) == 8
    assert all(gathered.held <= 20_000 for gathered in receiver.streams.values())


def test_what_cannot_be_sent() -> None:
    with pytest.raises(TargetError, match="64 to 1400"):
        Broadcast(long_stream(), size=63)
    with pytest.raises(TargetError, match="too small"):
        Broadcast(long_stream(), budget=100)
    with pytest.raises(TargetError, match="57"):
        Broadcast(long_stream(), station="x" * 58)
    with pytest.raises(NotAStream):
        Broadcast(b"no stream at all, whatever it may be")


def test_no_repairs_no_cost() -> None:
    broadcast = Broadcast(long_stream(), size=200, plan=Plan.for_loss(0))
    total = sum(map(len, broadcast))
    assert total <= 1.08 * len(long_stream())
    assert np.ceil(len(long_stream()) / 193) <= broadcast.round
