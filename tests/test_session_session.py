"""Two sessions joined by a link in virtual time: flow control, resuming, stopping, silence."""

from __future__ import annotations

import dataclasses

import pytest
from greeted import ready_receiver, ready_sender
from hypothesis import given, settings
from hypothesis import strategies as st
from pair import Pair

from diffc_stream.errors import LinkLost, RemoteProtocolError
from diffc_stream.session import (
    Ack,
    Alive,
    Code,
    Data,
    End,
    Error,
    Goaway,
    Hello,
    Open,
    PrefixHash,
    Reason,
    ReceiverSession,
    SenderSession,
    Target,
    Terms,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.pace import Pace

PHOTO = bytes(range(256)) * 40
SHORT = b"a stream of very few bytes"
WELCOME = Welcome(window=8192, idle=60.0, streams=4)


def test_a_whole_stream() -> None:
    pair = Pair({"photo": PHOTO})
    stream = pair.receiver.open("photo")
    pair.run()
    assert pair.received[stream] == PHOTO
    assert pair.ends() == [(stream, Reason.COMPLETE)]
    assert pair.sender.streams == pair.receiver.streams == ()
    assert 3 * pair.sender.under_way <= pair.sender.current


def test_the_request_travels_with_the_greeting() -> None:
    pair = Pair({"photo": SHORT}, latency=1.0, rate=1e9)
    pair.receiver.open("photo")
    pair.run_until(1)
    assert pair.now == pytest.approx(2.0)


def test_a_target() -> None:
    pair = Pair({"photo": PHOTO})
    stream = pair.receiver.open("photo", target=Target(bytes=1234))
    pair.run()
    assert pair.received[stream] == PHOTO[:1234]
    assert pair.ends() == [(stream, Reason.TARGET)]


@pytest.mark.parametrize("window", [512, 4096, 8192, 65_536])
@pytest.mark.parametrize("rate", [100.0, 1e4, 1e7])
def test_the_window_is_never_exceeded(window: int, rate: float) -> None:
    terms = Terms(window=window, idle=1e4)
    pair = Pair({"photo": PHOTO}, rate=rate, latency=0.9, terms=terms)
    pair.receiver.open("photo")
    pair.run()
    assert pair.received[1] == PHOTO
    assert 0 < pair.most_under_way <= window


def test_the_smaller_window_counts() -> None:
    for ours, theirs in ((1000, 2000), (2000, 1000)):
        pair = Pair({"photo": PHOTO}, terms=Terms(window=ours), receiver_terms=Terms(window=theirs))
        pair.receiver.open("photo")
        pair.run()
        assert pair.sender.window == pair.receiver.window == 1000
        assert pair.most_under_way <= 1000


@pytest.mark.parametrize("held", [1, 500, 5000])
def test_at_most_a_window_follows_a_stop(held: int) -> None:
    pair = Pair({"photo": PHOTO * 3}, rate=2000.0, latency=0.5, terms=Terms(window=4096))
    stream = pair.receiver.open("photo")
    pair.run_until(held)
    before = len(pair.received[stream])
    pair.receiver.stop(stream)
    pair.receiver.stop(stream)  # once is enough, twice does no harm
    pair.run()
    assert len(pair.received[stream]) - before <= 4096
    assert pair.ends() == [(stream, Reason.STOPPED)]
    assert 3 * pair.sender.under_way <= pair.sender.current


def test_a_stop_may_cross_the_end() -> None:
    pair = Pair({"photo": SHORT}, latency=1.0)
    stream = pair.receiver.open("photo")
    pair.run_until(len(SHORT))
    pair.receiver.stop(stream)
    pair.run()
    pair.receiver.stop(stream)
    pair.run()
    assert pair.ends() == [(stream, Reason.COMPLETE)]
    assert not pair.sender.closed


def test_resuming_at_every_byte_equals_one_stream() -> None:
    for start in range(len(SHORT) + 1):
        pair = Pair({"photo": SHORT}, frame=7)
        held = str(PrefixHash(SHORT[:start]))
        stream = pair.receiver.open("photo", start=start, prefix=held)
        pair.run()
        assert SHORT[:start] + pair.received.get(stream, b"") == SHORT
        assert pair.payload_sent == len(SHORT) - start


@settings(max_examples=40, deadline=None)
@given(
    window=st.integers(512, 65_536),
    rate=st.floats(50.0, 1e6),
    latency=st.floats(0.0, 2.0),
    frame=st.integers(1, 2000),
    cuts=st.lists(st.integers(1, 4000), max_size=4),
)
def test_any_link_cut_anywhere(
    window: int, rate: float, latency: float, frame: int, cuts: list[int]
) -> None:
    held = b""
    for after in [*cuts, len(PHOTO)]:
        terms = Terms(window=window, idle=8e4)
        pair = Pair({"photo": PHOTO}, latency=latency, rate=rate, frame=frame, terms=terms)
        stream = pair.receiver.open(
            "photo",
            start=len(held),
            prefix=str(PrefixHash(held)),
            target=Target(bytes=len(PHOTO)),
        )
        pair.run_until(min(after, len(PHOTO) - len(held)))
        arrived = pair.received.get(stream, b"")
        assert PHOTO[len(held) :].startswith(arrived)
        assert pair.most_under_way <= window
        held += arrived
    assert held == PHOTO


def test_streams_take_turns() -> None:
    pair = Pair({"a": PHOTO * 3, "b": PHOTO})
    pair.receiver.open("a")
    pair.receiver.open("b")
    pair.run()
    assert pair.received == {1: PHOTO * 3, 2: PHOTO}
    data = [event.stream for event in pair.events if isinstance(event, Data)]
    second = data.index(2)
    # The first window was the first stream's alone; from then on it is one for you, one for me.
    assert 9 <= data[second : second + 20].count(1) <= 11


def test_an_unknown_image_hurts_nobody_else() -> None:
    pair = Pair({"photo": PHOTO})
    pair.receiver.open("nonsense")
    stream = pair.receiver.open("photo")
    pair.run()
    assert pair.errors() == [(1, Code.UNKNOWN_IMAGE)]
    assert pair.received[stream] == PHOTO


def test_too_many_streams() -> None:
    pair = Pair({"photo": PHOTO}, terms=Terms(streams=2))
    for _ in range(3):
        pair.receiver.open("photo")
    pair.run()
    assert pair.errors() == [(3, Code.BUSY)]
    assert len(pair.ends()) == 2


def test_nobody_is_told_to_wait_for_longer_than_can_be_said() -> None:
    sender = ready_sender()
    sender.receive(encode(Open(stream=1, image="a.png")), 0.0)
    sender.refuse(1, Code.BUSY, "in a week", retry=True, after=7 * 86_400.0)
    *_, said = map(decode, sender.transmit(0.0))
    assert isinstance(said, Error)
    assert said.after == 86_400.0


def test_draining_ends_every_stream() -> None:
    pair = Pair({"a": PHOTO * 3, "b": PHOTO * 3})
    pair.receiver.open("a")
    pair.receiver.open("b")
    pair.run_until(1, stream=2)
    pair.sender.go_away()
    pair.run()
    assert pair.ends() == [(1, Reason.DRAINING), (2, Reason.DRAINING)]


def test_who_is_leaving_takes_nothing_new() -> None:
    pair = Pair({"a": PHOTO}, latency=1.0)
    pair.receiver.open("a")
    pair.run_until(1)
    pair.sender.go_away()
    crossing = pair.receiver.open("a")
    pair.run()
    assert pair.ends() == [(1, Reason.DRAINING), (crossing, Reason.DRAINING)]
    assert [event.wait for event in pair.events if isinstance(event, Goaway)] == [5.0]
    assert pair.receiver.leaving
    for ask in (lambda: pair.receiver.open("a"), pair.receiver.list):
        with pytest.raises(LinkLost, match="shutting down"):
            ask()
    pair.sender.go_away()  # once is enough
    assert pair.sender.transmit(pair.now) == []


def test_an_update_reaches_the_sender_as_an_event() -> None:
    receiver, sender = ready_receiver(), ready_sender()
    stream = receiver.open("photo", target=Target(bytes=100), weight=3.0)
    assert receiver.update(stream, target=Target(psnr=30.0), weight=0.5)
    opened, updated = (sender.receive(data, 0.0) for data in receiver.transmit(0.0))
    assert isinstance(opened, Open)
    assert isinstance(updated, Update)
    assert (opened.target, opened.weight) == (Target(bytes=100), 3.0)
    assert (updated.target, updated.weight) == (Target(psnr=30.0), 0.5)
    sender.send(stream, bytes(200))
    sender.end(stream, Reason.TARGET)
    assert receiver.update(stream)
    # More than OPEN asked for, as UPDATE allowed.
    _, end = (receiver.receive(data, 0.0) for data in sender.transmit(0.0))
    assert isinstance(end, End)
    assert end.updates == 1
    assert not receiver.update(stream)
    [late] = receiver.transmit(0.0)
    assert sender.receive(late, 0.0) is None  # it crossed END


def test_whoever_changes_their_mind_on_a_broken_connection_learns_of_it_elsewhere() -> None:
    receiver = ready_receiver()
    stream = receiver.open("photo")
    with pytest.raises(RemoteProtocolError):
        receiver.receive(b"junk", 0.0)
    last = receiver.transmit(0.0)[-1]
    assert isinstance(decode(last), Error)
    assert not receiver.update(stream, target=Target(bytes=5))
    receiver.stop(stream)
    assert receiver.transmit(0.0) == []


def test_what_is_under_way_when_a_target_shrinks_is_no_error() -> None:
    receiver, sender = ready_receiver(), ready_sender()
    stream = receiver.open("photo", target=Target(bytes=500))
    sender.receive(receiver.transmit(0.0)[0], 0.0)
    sender.send(stream, bytes(400))
    receiver.update(stream, target=Target(bytes=100))
    event = receiver.receive(sender.transmit(0.0)[0], 0.0)
    assert isinstance(event, Data)


@pytest.mark.parametrize("role", ["receiver", "sender"])
def test_a_capability_that_must_be_understood(role: str) -> None:
    words = ("dfc1", "from the future")
    session: ReceiverSession | SenderSession
    demanding: Hello | Welcome
    if role == "receiver":
        session = ReceiverSession(now=0.0)
        demanding = dataclasses.replace(WELCOME, capabilities=(*words, "!telepathy"))
    else:
        session = SenderSession(now=0.0)
        demanding = Hello(window=8192, idle=60.0, capabilities=(*words, "!telepathy"))
    session.transmit(0.0)
    with pytest.raises(RemoteProtocolError, match="!telepathy is demanded"):
        session.receive(encode(demanding), 0.0)
    [last] = [decode(data) for data in session.transmit(0.0)]
    assert isinstance(last, Error)
    assert (last.stream, last.code) == (0, Code.UNSUPPORTED)


def test_capabilities_are_told_and_those_unknown_ignored() -> None:
    receiver = ReceiverSession(now=0.0, capabilities=("telepathy", "!dfc1"))
    sender = SenderSession(now=0.0, capabilities=("dfc1",))
    for data in receiver.transmit(0.0):
        sender.receive(data, 0.0)
    for data in sender.transmit(0.0):
        receiver.receive(data, 0.0)
    assert sender.hello is not None
    assert receiver.welcome is not None
    assert sender.hello.capabilities == ("telepathy", "!dfc1")
    assert receiver.welcome.capabilities == ("dfc1",)


@pytest.mark.parametrize("rate", [500.0, 1000.0, 8000.0, 1e6])
@pytest.mark.parametrize("latency", [0.01, 0.3])
def test_a_slow_link_gets_a_small_window_and_stays_busy(rate: float, latency: float) -> None:
    pair = Pair({"photo": PHOTO * 4}, rate=rate, latency=latency, terms=Terms(idle=1e4))
    stream = pair.receiver.open("photo")
    pair.run_until(len(PHOTO))
    began, before = pair.now, len(pair.received[stream])
    pair.run_until(3 * len(PHOTO))
    # Within a tenth of what the link carries, but for the window that was agreed on.
    carried = (len(pair.received[stream]) - before) / (pair.now - began)
    assert carried >= 0.9 * min(rate, 8192 / 2 / (2 * latency))
    seconds = pair.sender.current / rate
    assert seconds <= max(4 * latency + 1.2, Pace.LEAST / rate)


def test_a_window_may_not_grow_beyond_the_agreed() -> None:
    session = ready_sender(window=1024)
    session.receive(encode(Open(stream=1, image="a")), 0.0)
    session.send(1, bytes(600))
    with pytest.raises(RemoteProtocolError, match="larger than WELCOME's"):
        session.receive(encode(Ack(received=600, window=2000)), 0.0)


def test_before_the_first_ack_the_window_is_small() -> None:
    session = ready_sender()
    session.receive(encode(Open(stream=1, image="a")), 0.0)
    assert session.credit == 2200
    session.send(1, bytes(1500))
    session.receive(encode(Ack(received=1500, window=1024)), 0.0)
    assert session.credit == 1024
    session.send(1, bytes(1000))
    session.receive(encode(Ack(received=1500, window=512)), 0.0)
    assert session.credit == 0  # more is under way than is allowed by now


def test_quiet_links_live_on() -> None:
    pair = Pair()
    pair.run(10 * pair.terms.idle)
    assert not pair.sender.closed
    assert not pair.receiver.closed


def test_the_peers_patience_decides_how_often_to_speak() -> None:
    pair = Pair(terms=Terms(idle=600.0), receiver_terms=Terms(idle=5.0))
    pair.run(100.0)
    assert not pair.receiver.closed


def test_a_dead_link_is_noticed() -> None:
    pair = Pair(terms=Terms(idle=30.0))
    pair.run(20.0)
    pair.cut = True
    with pytest.raises(LinkLost, match=r"nothing heard from the (sender|receiver) for 30 s"):
        pair.run(100.0)
    assert pair.now <= 20.0 + 31.0
    [closed] = [session for session in (pair.sender, pair.receiver) if session.closed]
    assert closed.next_timeout() is None
    closed.handle_timeout(pair.now + 100)


def test_someone_who_never_says_hello_is_sent_away() -> None:
    session = SenderSession(now=0.0, terms=Terms(greeting=10.0))
    assert session.next_timeout() == 10.0
    session.handle_timeout(9.9)
    assert session.transmit(9.9) == []
    with pytest.raises(LinkLost):
        session.handle_timeout(10.0)
    [last] = [decode(message) for message in session.transmit(10.0)]
    assert isinstance(last, Error)
    assert (last.stream, last.code, last.retry) == (0, Code.TIMEOUT, True)


def test_a_message_that_got_lost_is_missed() -> None:
    receiver, sender = ready_receiver(), ready_sender()
    stream = receiver.open("photo")
    sender.receive(receiver.transmit(0.0)[0], 0.0)
    sender.send(stream, b"all of it")
    sender.end(stream, Reason.COMPLETE)
    data, _lost = sender.transmit(0.0)
    receiver.receive(data, 0.0)
    sender.handle_timeout(20.0)
    [alive] = sender.transmit(20.0)
    with pytest.raises(RemoteProtocolError, match="ALIVE: of 3 messages 2 came"):
        receiver.receive(alive, 20.0)


def test_nobody_is_made_to_babble() -> None:
    session = SenderSession(now=0.0)
    session.receive(encode(Hello(window=8192, idle=1e-300)), 0.0)
    session.transmit(0.0)
    assert session.next_timeout() == pytest.approx(0.3)


def test_calling_handle_timeout_early_does_nothing() -> None:
    session = ready_receiver()
    session.handle_timeout(1.0)
    assert session.transmit(1.0) == []
    session.handle_timeout(20.0)
    assert [decode(data) for data in session.transmit(20.0)] == [Alive(said=1)]


def test_bytes_of_a_message_that_is_still_coming_are_a_sign_of_life() -> None:
    session = ready_receiver()
    session.heard(50.0)
    session.heard(20.0)  # what was heard later counts
    session.handle_timeout(109.0)
    with pytest.raises(LinkLost, match="for 60 s"):
        session.handle_timeout(110.0)
