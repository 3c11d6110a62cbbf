"""Packets are sent when the limits of a link allow."""

from sources import long_stream

from diffc_stream.emission import send
from diffc_stream.packets import Broadcast
from diffc_stream.packets.airtime import Airtime


class Clock:
    """A clock that sleeping moves, and a list of what was sent when."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self, packet: bytes) -> None:
        self.sent.append(self.now - 100.0)


def test_packets_keep_to_their_rate() -> None:
    clock = Clock()
    packets = iter([bytes(200)] * 4)
    airtime = Airtime(bytes_per_second=100)
    assert send(packets, clock.send, airtime, clock=lambda: clock.now, sleep=clock.sleep) == 4
    assert clock.sent == [0.0, 2.0, 4.0, 6.0]


def test_a_carousel_ends_in_time() -> None:
    clock = Clock()
    broadcast = Broadcast(long_stream(), size=200, budget=1000, carousel=True)
    airtime = Airtime(packets_per_second=1)
    count = send(
        broadcast, clock.send, airtime, seconds=50, clock=lambda: clock.now, sleep=clock.sleep
    )
    assert count == 50
