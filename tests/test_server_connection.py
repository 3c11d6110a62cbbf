"""Which frames a conversation sends, and in which order; sockets are the daemon's business."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from fakes import StreamOpener
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sources import LARGE, long_stream

from diffc_server import Catalogue, Pipeline
from diffc_server.auth.limits import Limits
from diffc_server.auth.quotas import ClientQuota, ConnectionQuota
from diffc_server.encoding.hulled_curve import HulledCurve
from diffc_server.encoding.pipeline import SharedStream
from diffc_server.websocket import scheduler
from diffc_server.websocket.connection import ReceiverConnection
from diffc_server.websocket.outbound_stream import OutboundStream, Plan, Requested
from diffc_server.websocket.scheduler import FrameScheduler
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Ack, Hello, Message, Open, Reason, Terms, Update, Welcome
from diffc_stream.session.coding import decode, encode
from diffc_stream.session.interleaving import FIRST_FRAME, Outlook, turn
from diffc_stream.session.messages import Data
from diffc_stream.transport.pacing import Paced

DATA = long_stream()
WINDOW = 16_384


class NoSocket:
    """Stands for a connection that nothing is sent over."""

    remote_address = None

    def earn(self, size: int) -> None:
        pass


class Known:
    """Stands for a stream of which so much is known as it is told."""

    def __init__(self, length: int) -> None:
        self.pixels = LARGE.height * LARGE.width
        self.curve = HulledCurve()
        self.wakes: list[Callable[[], None]] = []
        self.failure: RequestRefused | None = None
        self._data = b""
        self.grow(length)

    def __len__(self) -> int:
        return len(self._data)

    @property
    def complete(self) -> bool:
        return len(self) == len(DATA)

    def grow(self, more: int) -> None:
        piece = DATA[len(self) : len(self) + more]
        self._data += piece
        self.curve.feed(piece)
        for wake in self.wakes:
            wake()

    def want(self, length: int) -> None:
        pass

    def leave(self, wake: Callable[[], None]) -> None:
        pass

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]


class Sender:
    """A conversation whose messages are fetched, never sent."""

    def __init__(self, folder: Path, shared: Known, opens: Sequence[Open]) -> None:
        self._talk = ReceiverConnection(
            cast(Paced, NoSocket()),
            Catalogue(folder),
            Pipeline(StreamOpener({})),
            Terms(window=WINDOW),
        )
        self.hear(Hello(window=WINDOW, idle=60.0))
        for request in opens:
            self.hear(request)
            outbound = OutboundStream(
                request.stream, request.image, cast(SharedStream, shared), request
            )
            wake = partial(self._talk._grown, request.stream)
            shared.wakes.append(wake)
            self._talk._requested[request.stream] = Requested(request, 0.0, wake, outbound=outbound)
            self._talk._scheduler.add(outbound)

    def hear(self, message: Message) -> None:
        event = self._talk._session.receive(encode(message), 0.0)
        if isinstance(event, Update):
            self._talk._update(event)

    def said(self) -> list[Message]:
        """Return all that is sent until something happens."""
        messages: list[Message] = []
        while True:
            self._talk._scheduler.fill()
            fetched = self._talk._session.transmit(0.0)
            if not fetched:
                return messages
            messages += map(decode, fetched)


def forgetful(outbound: OutboundStream, position: int, window: int, *, alone: bool) -> Plan:
    """Work everything out anew, from what everybody can see."""
    shared = outbound.shared
    limit, settled = OutboundStream.limit(outbound, position)
    outbound._known = ()
    over: Reason | None = None
    if shared.complete and position >= len(shared):
        over = Reason.COMPLETE
    elif position >= limit and settled:
        over = Reason.TARGET
    end = min(len(shared), limit)
    outlook, ahead = None, None
    if end > position:
        outlook = Outlook(
            position=position,
            end=end,
            last=end == limit or shared.complete,
            weight=outbound._weight,
            offsets=shared.curve.offsets,
            psnr=shared.curve.psnr(),
            boundaries=shared.curve.boundaries,
        )
        ahead = turn(outlook, alone=alone)
    return Plan(over, outlook, ahead)


def plan_all(scheduler: FrameScheduler) -> None:
    """Renew all plans, whatever has changed."""
    for stream in tuple(scheduler._outbound):
        scheduler.renew(stream)
    plan_changed(scheduler)


plan_changed = FrameScheduler._plan

targets = st.one_of(
    st.just({}),
    st.builds(lambda n: {"bytes": n}, st.integers(1, 13_000)),
    st.builds(lambda q: {"psnr": q}, st.floats(15.0, 35.0)),
    st.builds(lambda s: {"side": s}, st.sampled_from([16, 64, 128])),
)
weights = st.floats(0.1, 10.0)
steps = st.one_of(
    st.builds(lambda share: ("ack", share), st.floats(0.0, 1.0)),
    st.builds(lambda n: ("grow", n), st.integers(0, 3000)),
    st.builds(lambda *change: ("change", change), st.integers(1, 4), targets, weights),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(targets, weights), min_size=1, max_size=4),
    st.integers(100, 6000),
    st.lists(steps, max_size=12),
)
@example(
    [({"psnr": 15.0}, 1.0), ({}, 1.0), ({"psnr": 15.0}, 1.0)], 1126, [("grow", 3000)]
)  # streams that gain the same
def test_what_is_remembered_and_written_together_changes_no_frame(
    tmp_path: Path,
    wanted: list[tuple[dict[str, float], float]],
    held: int,
    happening: list[tuple[str, object]],
) -> None:
    async def sequence() -> list[list[Message]]:
        shared = Known(held)
        opens = [
            Open(stream=n, image="a.png", weight=weight, **target)  # type: ignore[arg-type]
            for n, (target, weight) in enumerate(wanted, start=1)
        ]
        sender = Sender(tmp_path, shared, opens)
        said, acknowledged = [sender.said()], 0
        for kind, what in happening:
            if kind == "ack":
                sent = sum(len(m.payload) for part in said for m in part if isinstance(m, Data))
                acknowledged += int(cast(float, what) * (sent - acknowledged))
                sender.hear(Ack(received=acknowledged))
            elif kind == "grow":
                shared.grow(cast(int, what))
            else:
                stream, target, weight = cast(tuple[int, dict[str, float], float], what)
                if stream <= len(wanted):
                    update = Update(stream=stream, weight=weight, **target)  # type: ignore[arg-type]
                    sender.hear(update)
            said.append(sender.said())
        return said

    remembered = asyncio.run(sequence())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "TOGETHER", 1)
        patch.setattr(OutboundStream, "plan", forgetful)
        patch.setattr(FrameScheduler, "_plan", plan_all)
        assert asyncio.run(sequence()) == remembered


@pytest.mark.asyncio
async def test_no_more_is_written_together_than_that(tmp_path: Path) -> None:
    request = Open(stream=1, image="a.png")
    sender = Sender(tmp_path, Known(len(DATA)), [request])
    sender._talk._scheduler.fill()
    kinds = [type(decode(data)) for data in sender._talk._session.transmit(0.0)]
    assert kinds == [Welcome, Data, Data, Data]
    sender.hear(Ack(received=FIRST_FRAME))
    sender._talk._scheduler.fill()
    assert len(sender._talk._session.transmit(0.0)) == scheduler.TOGETHER


def test_a_moment_to_wait_for_is_not_missed(tmp_path: Path) -> None:
    """However short it is, and though it has passed when it is waited for."""

    async def due() -> tuple[float, float | None]:
        now = 100.0
        client = ClientQuota(Limits(bytes_per_second=10**7), lambda: now)
        talk = ReceiverConnection(
            cast(Paced, NoSocket()),
            Catalogue(tmp_path),
            Pipeline(StreamOpener({})),
            Terms(),
            quota=ConnectionQuota(client),
        )
        talk._clock = talk._scheduler._clock = lambda: now
        talk.quota.spend(2 * 10**7)
        assert not talk._scheduler._affordable()
        then = talk.quota.ready_at(now)
        now += 2.0
        return then, talk._next_timeout()

    then, timeout = asyncio.run(due())
    assert timeout == then
