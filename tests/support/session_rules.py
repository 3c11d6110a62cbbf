"""Two sessions, and the rules of what may happen to them: a state machine of Hypothesis."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import sources
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pair import Pair, limit_of

from diffc_stream.errors import LinkLost, PeerError, RemoteProtocolError
from diffc_stream.session import (
    WHOLE,
    Ack,
    Catalogue,
    Code,
    Data,
    End,
    Error,
    Goaway,
    Message,
    PrefixHash,
    Reason,
    Role,
    Session,
    Stop,
    Target,
    Terms,
    Welcome,
    decode,
)

PICTURES = {
    "photo": sources.stream(),
    "noise": bytes(range(256)) * 20,
    "tiny": b"a stream of very few bytes",
}
"""One of them has a curve, for targets of quality."""
MOST_STREAMS = 4
MOST_WISHES = 6
"""At once: more than streams, so that some are refused for a while."""
images = st.sampled_from(sorted(PICTURES))
targets = st.one_of(
    st.just(WHOLE),
    st.builds(
        Target,
        bytes=st.none() | st.integers(1, 6000),
        bpp=st.none() | st.floats(0.01, 12.0),
        side=st.none() | st.integers(1, 64),
        psnr=st.none() | st.floats(1.0, 60.0),
    ),
)
weights = st.floats(0.01, 1000.0)
ends = st.sampled_from(Role)


@dataclass(slots=True, kw_only=True)
class Wish:
    """A picture that is wanted, over as many connections as it takes."""

    image: str
    target: Target
    weight: float
    most: int
    """Bytes that the furthest of its targets so far comes to."""
    held: bytearray = field(default_factory=bytearray)
    stream: int | None = None
    """On this connection."""
    asked: Target = WHOLE
    """For which the sender was asked when it was opened."""
    done: bool = False
    stopped: bool = False

    @property
    def truth(self) -> bytes:
        """The stream that it is the beginning of."""
        return PICTURES[self.image]


class Watched(Pair):
    """A pair whose ends are held to their word, message by message."""

    def reconnect(self) -> None:
        """Begin anew with fresh sessions."""
        super().reconnect()
        self.stopped: set[int] = set()
        self.acknowledged = 0
        self.accepted = 0

    def on_sent(self, session: Session, data: bytes) -> None:
        """Look at a message that is put on the link."""
        match decode(data):
            case Data() as message:
                assert message.stream not in self.stopped, "DATA after STOP was heard"
                assert self.sender.under_way <= self.sender.window <= self.terms.window
            case Ack() as message:
                assert self.acknowledged < message.received <= self.accepted
                self.acknowledged = message.received

    def _answer(self, event: Message | None) -> None:
        if isinstance(event, Stop):
            self.stopped.add(event.stream)
        super()._answer(event)


class Machine(RuleBasedStateMachine):
    """A receiver that wants pictures, a sender that has them, and a link that nobody can trust."""

    @initialize(
        window=st.integers(512, 65_536),
        theirs=st.integers(512, 65_536),
        frame=st.integers(50, 1500),
        rate=st.floats(100.0, 1e6),
        latency=st.floats(0.0, 2.0),
    )
    def begin(self, window: int, theirs: int, frame: int, rate: float, latency: float) -> None:
        """Meet."""
        self.wishes: list[Wish] = []
        self.accepted = 0
        self.listed = 0
        self.listing = False
        self.pair = Watched(
            PICTURES,
            frame=frame,
            rate=rate,
            latency=latency,
            terms=Terms(window=window, streams=MOST_STREAMS),
            receiver_terms=Terms(window=theirs),
        )
        self.pair.flush()
        self.open("noise", WHOLE, 1.0)
        self.open("photo", Target(bytes=1000), 1.0)

    @rule(image=images, to=targets, weight=weights)
    def open(self, image: str, to: Target, weight: float) -> None:
        """Want one more picture."""
        if sum(not wish.done for wish in self.wishes) < MOST_WISHES:
            most = limit_of(PICTURES[image], to)
            self.wishes.append(Wish(image=image, target=to, weight=weight, most=most))
            self._ask(self.wishes[-1])

    @rule(which=st.integers(0, 99), to=targets, weight=weights)
    def update(self, which: int, to: Target, weight: float) -> None:
        """Want a picture to another target."""
        if wish := self._open_wish(which):
            assert wish.stream is not None
            if self.pair.receiver.update(wish.stream, target=to, weight=weight):
                wish.target, wish.weight = to, weight
                wish.most = max(wish.most, limit_of(wish.truth, to))
            self.pair.flush()

    @rule(which=st.integers(0, 99))
    def stop(self, which: int) -> None:
        """Have enough of a picture."""
        if wish := self._open_wish(which):
            assert wish.stream is not None
            self.pair.receiver.stop(wish.stream)
            wish.stopped = True
            self.pair.flush()

    @rule()
    def list(self) -> None:
        """Ask for the catalogue."""
        if not self.listing:
            if self.pair.receiver.leaving:
                with contextlib.suppress(LinkLost):
                    self.pair.receiver.list()
                    raise AssertionError("a sender that leaves is asked no more")
            else:
                self.pair.receiver.list()
                self.listing = True
                self.pair.flush()

    @rule(to=ends, messages=st.integers(1, 40))
    def deliver(self, to: Role, messages: int) -> None:
        """Bring some messages to one end; what goes the other way is held back."""
        for _ in range(min(messages, len(self.pair.under_way(to)))):
            self._deliver_one(to)

    @rule(nbytes=st.integers(1, 6000))
    def deliver_bytes(self, nbytes: int) -> None:
        """Let both ways run until so much has reached the receiver."""
        while nbytes > 0 and (way := self._busy()):
            carried = self._deliver_one(way)
            nbytes -= carried if way is Role.RECEIVER else 0

    @rule(seconds=st.floats(0.01, 5.0) | st.floats(5.0, 80.0))
    def wait(self, seconds: float) -> None:
        """Let time pass in which nothing is delivered."""
        pair, end = self.pair, self.pair.now + seconds
        try:
            while (due := self._due()) <= end:
                pair.now = max(pair.now, due)
                pair.sender.handle_timeout(pair.now)
                pair.receiver.handle_timeout(pair.now)
                assert self._due() > due
                pair.flush()
        except LinkLost as lost:
            assert_one_line(lost)
            self._resume()
        pair.now = max(pair.now, end)

    @rule(to=ends, messages=st.integers(0, 12))
    def cut(self, to: Role, messages: int) -> None:
        """Break the link after some more messages, and go on with another."""
        self.deliver(to, messages)
        self._resume()

    @rule()
    def sender_leaves(self) -> None:
        """Have the sender say GOAWAY, once it is there."""
        self.pair.sender.go_away()
        self.pair.flush()

    @precondition(lambda self: self.pair.sender.leaving)
    @rule()
    def sender_comes_back(self) -> None:
        """Reconnect to one that went."""
        self._resume()

    @rule(to=ends, index=st.integers(0, 20), bit=st.integers(0, 200_000))
    def damage(self, to: Role, index: int, bit: int) -> None:
        """Flip a bit of one message, and go on with another link."""
        pair = self.pair
        for _ in range(min(index, len(pair.under_way(to)) - 1)):
            self._deliver_one(to)
        if not pair.under_way(to):
            return
        [message, *_] = pair.under_way(to)
        pair.damage(to, 0, bit % (8 * len(message)))
        hearing, other = (
            (pair.sender, pair.receiver) if to is Role.SENDER else (pair.receiver, pair.sender)
        )
        try:
            pair.deliver(to)
        except RemoteProtocolError as error:
            assert_one_line(error)
            assert hearing.closed
            pair.flush()
            assert self._told(other) in (Code.PROTOCOL, Code.UNSUPPORTED)
        except PeerError as error:
            assert_one_line(error)
            assert hearing.closed
        else:
            # Data is protected; that the rest comes over TCP unharmed, the protocol relies on.
            assert message[0] != Data.kind
            pair.events.clear()
        self._resume()

    @invariant()
    def no_byte_twice(self) -> None:
        """All that was ever accepted is held, once."""
        assert self.accepted == sum(len(wish.held) for wish in self.wishes)

    @invariant()
    def nothing_is_remembered_in_vain(self) -> None:
        """What the sessions hold is bounded by what is open."""
        receiver, sender = self.pair.receiver, self.pair.sender
        open_here = {wish.stream for wish in self.wishes if wish.stream is not None}
        assert set(receiver.streams) == open_here == set(receiver._progress)
        assert set(sender.streams) == set(sender._progress)
        assert len(sender.streams) <= MOST_STREAMS
        assert receiver.backlog == sender.backlog == 0
        assert 0 <= sender.credit <= sender.current <= sender.window

    def teardown(self) -> None:
        """Repair the link: everything still wanted arrives."""
        if not hasattr(self, "pair"):
            return
        for _ in range(100):
            if all(wish.done for wish in self.wishes):
                break
            self._resume(most=MOST_STREAMS)
            while way := self._busy():
                self._deliver_one(way)
        for wish in self.wishes:
            assert wish.done
            if not wish.stopped:
                assert limit_of(wish.truth, wish.target) <= len(wish.held) <= wish.most
        self.no_byte_twice()
        self.nothing_is_remembered_in_vain()

    def _ask(self, wish: Wish) -> None:
        receiver = self.pair.receiver
        if receiver.leaving:
            with contextlib.suppress(LinkLost):
                receiver.open(wish.image)
                raise AssertionError("a sender that leaves is asked no more")
        else:
            wish.asked = wish.target
            wish.stream = receiver.open(
                wish.image,
                start=len(wish.held),
                prefix=str(PrefixHash(bytes(wish.held))) if wish.held else None,
                target=wish.target,
                weight=wish.weight,
            )
            self.pair.flush()

    def _open_wish(self, which: int) -> Wish | None:
        found = [wish for wish in self.wishes if wish.stream is not None and not wish.stopped]
        return found[which % len(found)] if found else None

    def _resume(self, most: int = MOST_WISHES) -> None:
        """Begin a connection, and ask for all that is still wanted."""
        self.pair.reconnect()
        self.listing = False
        for wish in self.wishes:
            wish.stream = None
            wish.done = wish.done or wish.stopped
        self.pair.flush()
        for wish in [wish for wish in self.wishes if not wish.done][:most]:
            self._ask(wish)

    def _busy(self) -> Role | None:
        """Return an end for which something is under way: the receiver, if it has a choice."""
        return next((way for way in (Role.RECEIVER, Role.SENDER) if self.pair.under_way(way)), None)

    def _due(self) -> float:
        """Return when the next of the two ends wants to be woken."""
        timeouts = [self.pair.sender.next_timeout(), self.pair.receiver.next_timeout()]
        return min(timeout for timeout in timeouts if timeout is not None)

    def _deliver_one(self, to: Role) -> int:
        data = self.pair.deliver(to)
        for event in self.pair.events:
            self._take(event)
        self.pair.events.clear()
        self.pair.flush()
        return len(data)

    def _take(self, event: Message) -> None:
        match event:
            case Data():
                wish = self._of(event.stream)
                assert event.offset == len(wish.held)
                wish.held += event.payload
                assert wish.truth.startswith(wish.held)
                assert len(wish.held) <= wish.most
                self.accepted += len(event.payload)
                self.pair.accepted += len(event.payload)
            case End():
                wish = self._of(event.stream)
                wish.stream = None
                assert event.length == len(wish.held)
                self._ended(wish, event.reason)
            case Error():
                assert event.code == Code.BUSY
                wish = self._of(event.stream)
                wish.stream = None
                wish.done = wish.stopped
            case Catalogue():
                assert self.listing
                self.listing = not event.last
                assert [entry.name for entry in event.images] == list(PICTURES)
            case _:
                assert isinstance(event, Welcome | Goaway)

    def _ended(self, wish: Wish, reason: Reason) -> None:
        match reason:
            case Reason.COMPLETE:
                assert wish.held == wish.truth
                wish.done = True
            case Reason.TARGET:
                # It may have ended before the sender heard of the last target.
                wish.done = wish.stopped or len(wish.held) >= limit_of(wish.truth, wish.target)
            case Reason.STOPPED:
                assert wish.stopped
                wish.done = True
            case Reason.DRAINING:
                wish.done = wish.stopped

    def _of(self, stream: int) -> Wish:
        [wish] = [wish for wish in self.wishes if wish.stream == stream]
        return wish

    def _told(self, session: Session) -> str | None:
        """Deliver all that is under way to an end and return the code it was given up with."""
        while self.pair.under_way(session.role):
            try:
                self._deliver_one(session.role)
            except PeerError as error:
                assert_one_line(error)
                assert session.closed
                return error.code
        return None


def assert_one_line(error: Exception) -> None:
    assert str(error)
    assert len(str(error).splitlines()) == 1
