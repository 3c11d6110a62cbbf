"""Which of a connection's streams is sent next, and how little is worked out for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from fakes import StreamOpener
from sources import long_stream

from diffc_server import Pipeline
from diffc_server.auth.quotas import unlimited_quota
from diffc_server.encoding.pipeline import SharedStream
from diffc_server.ops.metrics import SenderMetrics
from diffc_server.websocket.outbound_stream import OutboundStream, Plan
from diffc_server.websocket.scheduler import TOGETHER, FrameScheduler
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Open, Reason, ReceiverSession, SenderSession, Target, Update
from diffc_stream.transport.pacing import Paced

DATA = long_stream()
PIPELINES: list[Pipeline] = []
pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(autouse=True)
async def _nothing_goes_on() -> AsyncIterator[None]:
    yield
    while PIPELINES:
        PIPELINES.pop().close()


class Counted(OutboundStream):
    """A stream that counts how often it is planned."""

    plans = 0

    def plan(self, position: int, window: int, *, alone: bool) -> Plan:
        self.plans += 1
        return super().plan(position, window, alone=alone)


class Socket:
    """As much of a connection as is asked here."""

    def earn(self, nbytes: int) -> None:
        """Take note of nothing."""


@dataclass
class Connection:
    """Both sessions, and the scheduler between them."""

    sender: SenderSession = field(default_factory=lambda: SenderSession(now=0.0))
    receiver: ReceiverSession = field(default_factory=lambda: ReceiverSession(now=0.0))
    streams: dict[int, Counted] = field(default_factory=dict)
    ended: list[tuple[int, Reason | RequestRefused]] = field(default_factory=list)

    def __post_init__(self) -> None:
        socket = cast(Paced, Socket())
        self.scheduler = FrameScheduler(
            self.sender, socket, unlimited_quota(), SenderMetrics(), end=self._end
        )

    def open(self, shared: SharedStream, nbytes: int | None = None) -> Counted:
        """Ask for a stream, and have it sent."""
        number = self.receiver.open("a.png", target=Target(bytes=nbytes))
        self.exchange()
        wanted = Open(stream=number, image="a.png", bytes=nbytes)
        outbound = self.streams[number] = Counted(number, "a.png", shared, wanted)
        shared.join(lambda: self.scheduler.renew(number))
        self.scheduler.add(outbound)
        return outbound

    def exchange(self) -> None:
        """Deliver all messages."""
        while (messages := [self.sender.transmit(0.0), self.receiver.transmit(0.0)]) != [[], []]:
            down, up = messages
            for data in down:
                self.receiver.receive(data, 0.0)
            for data in up:
                self.sender.receive(data, 0.0)

    def _end(self, outbound: OutboundStream, why: Reason | RequestRefused) -> None:
        assert isinstance(why, Reason)
        self.ended.append((outbound.stream, why))
        self.sender.end(outbound.stream, why)
        self.scheduler.remove(outbound.stream)


async def shared(folder: Path, held: int) -> SharedStream:
    """Return a stream of which so much is there, or all that there is."""
    (folder / "a.png").write_bytes(b"")
    PIPELINES.append(Pipeline(StreamOpener({"a.png": DATA})))
    stream = PIPELINES[-1].stream(folder / "a.png")
    await stream.reach(held)
    return stream


async def test_a_frame_has_only_its_own_stream_planned_again(tmp_path: Path) -> None:
    connection = Connection()
    whole = await shared(tmp_path, len(DATA) + 1)
    streams = [connection.open(whole) for _ in range(20)]
    connection.scheduler.fill()
    for _ in range(4):
        connection.exchange()
        connection.scheduler.fill()
    assert all(stream.plans for stream in streams)
    assert sum(stream.plans for stream in streams) <= len(streams) + 5 * TOGETHER


async def test_streams_share_a_connection_to_their_ends(tmp_path: Path) -> None:
    connection = Connection()
    whole = await shared(tmp_path, len(DATA) + 1)
    first, second = connection.open(whole), connection.open(whole)
    while len(connection.ended) < 2:
        connection.scheduler.fill()
        connection.exchange()
        if not connection.ended:
            assert min(first.sent, second.sent) > 0
    assert {why for _, why in connection.ended} == {Reason.COMPLETE}
    assert first.sent == second.sent == len(DATA)


async def test_what_grows_is_planned_again(tmp_path: Path) -> None:
    connection = Connection()
    growing = await shared(tmp_path, 300)
    stream, other = connection.open(growing), connection.open(growing)
    for _ in range(5):
        connection.scheduler.fill()
        connection.exchange()
    held = stream.sent + other.sent
    assert held <= 2 * len(growing)
    await growing.reach(2000)
    connection.scheduler.fill()
    assert stream.sent + other.sent > held


async def test_a_new_target_ends_a_stream(tmp_path: Path) -> None:
    connection = Connection()
    whole = await shared(tmp_path, len(DATA) + 1)
    stream, other = connection.open(whole), connection.open(whole)
    connection.scheduler.fill()
    connection.exchange()
    target = Update(stream=stream.stream, bytes=1)
    stream.change(target)
    connection.scheduler.renew(stream.stream)
    connection.scheduler.fill()
    assert connection.ended == [(stream.stream, Reason.TARGET)]
    assert other.sent < len(DATA)


async def test_the_last_one_is_alone(tmp_path: Path) -> None:
    """The others' end makes its messages larger, though nothing of its own has changed."""
    connection = Connection()
    whole = await shared(tmp_path, len(DATA) + 1)
    stream, other = connection.open(whole), connection.open(whole, 100)
    connection.scheduler.fill()
    assert connection.ended == [(other.stream, Reason.TARGET)]
    planned = stream.plans
    connection.exchange()
    connection.scheduler.fill()
    connection.exchange()
    assert stream.plans > planned
    assert connection.sender.count == 1


async def test_an_unknown_stream_is_not_renewed(tmp_path: Path) -> None:
    connection = Connection()
    stream = connection.open(await shared(tmp_path, 500), 500)
    connection.scheduler.fill()
    assert connection.ended == [(stream.stream, Reason.TARGET)]
    connection.scheduler.renew(stream.stream)
    connection.scheduler.fill()
