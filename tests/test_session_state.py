"""The tables themselves: whole and symmetric."""

from __future__ import annotations

import pytest

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session.messages import (
    CONTROL,
    Data,
    End,
    Error,
    Goaway,
    Hello,
    Open,
    Reason,
    Stop,
    Update,
    Welcome,
)
from diffc_stream.session.state import (
    CONNECTION,
    STREAM,
    ConnectionState,
    Role,
    StreamState,
    Tracker,
    Way,
)

HELLO = Hello(window=8192, idle=60.0)
WELCOME = Welcome(window=8192, idle=60.0, streams=16)


def ready(role: Role) -> Tracker:
    tracker = Tracker(role)
    sends, receives = Way.SENDS, Way.RECEIVES
    if role is Role.SENDER:
        sends, receives = receives, sends
    tracker.advance(sends, HELLO)
    tracker.advance(receives, WELCOME)
    return tracker


def test_every_state_is_in_the_tables() -> None:
    for role in Role:
        assert set(CONNECTION[role]) == set(ConnectionState)
        assert set(STREAM[role]) == set(StreamState)


def test_what_one_end_sends_the_other_receives() -> None:
    for tables in (CONNECTION, STREAM):
        said = {
            role: {
                way: {m for row in tables[role].values() for w, m in row if w is way} for way in Way
            }
            for role in Role
        }
        sender, receiver = said[Role.SENDER], said[Role.RECEIVER]
        assert sender[Way.SENDS] == receiver[Way.RECEIVES]
        assert receiver[Way.SENDS] == sender[Way.RECEIVES]


def test_every_message_is_in_the_tables() -> None:
    said = {m for table in CONNECTION.values() for row in table.values() for _, m in row}
    assert said == {*CONTROL, Data}


@pytest.mark.parametrize("role", Role)
def test_what_is_not_in_the_table_changes_nothing(role: Role) -> None:
    tracker = ready(role)
    for way, error in ((Way.SENDS, LocalProtocolError), (Way.RECEIVES, RemoteProtocolError)):
        with pytest.raises(error, match=r"is (IDLE|READY)"):
            tracker.advance(way, Data(stream=5, offset=0, payload=b"x"))
    assert tracker.connection is ConnectionState.READY
    assert tracker.streams == ()


def test_data_that_is_sent_is_in_the_table_or_refused() -> None:
    """However often it is said, what is looked up before is what the tables have."""
    tracker = Tracker(Role.SENDER)

    def refused(where: str) -> None:
        with pytest.raises(LocalProtocolError, match=where):
            tracker.send_data(1)

    refused("the connection is START")
    tracker.advance(Way.RECEIVES, HELLO)
    refused("the connection is GREETED")
    tracker.advance(Way.SENDS, WELCOME)
    refused("stream 1 is IDLE")
    tracker.advance(Way.RECEIVES, Open(stream=1, image="a"))
    tracker.send_data(1)
    tracker.advance(Way.SENDS, Goaway(wait=5.0))
    tracker.send_data(1)
    assert (tracker.connection, tracker.count) == (ConnectionState.LEAVING, 1)
    tracker.advance(Way.RECEIVES, Stop(stream=1))
    refused("stream 1 is STOPPING")
    tracker.advance(Way.SENDS, End(stream=1, reason=Reason.STOPPED, length=0))
    refused("stream 1 is CLOSED")
    assert tracker.count == 0
    tracker.advance(Way.SENDS, Error(stream=0, code="x", message="x"))
    refused("the connection is CLOSED")


def test_a_stream_from_open_to_closed() -> None:
    tracker = ready(Role.SENDER)
    tracker.advance(Way.RECEIVES, Open(stream=3, image="a"))
    assert tracker.stream(3) is StreamState.OPEN
    tracker.advance(Way.RECEIVES, Stop(stream=3))
    assert tracker.stream(3) is StreamState.STOPPING
    tracker.advance(Way.SENDS, End(stream=3, reason=Reason.STOPPED, length=0))
    assert tracker.stream(3) is StreamState.CLOSED
    assert tracker.streams == ()
    assert tracker.stream(2) is StreamState.CLOSED  # numbers only go up
    assert tracker.stream(4) is StreamState.IDLE
    tracker.advance(Way.RECEIVES, Stop(stream=3))  # it crossed END
    with pytest.raises(RemoteProtocolError, match="an unexpected OPEN: stream 3 is CLOSED"):
        tracker.advance(Way.RECEIVES, Open(stream=3, image="a"))


def test_an_update_changes_no_state() -> None:
    tracker = ready(Role.SENDER)
    tracker.advance(Way.RECEIVES, Open(stream=1, image="a"))
    tracker.advance(Way.RECEIVES, Update(stream=1))
    assert tracker.stream(1) is StreamState.OPEN
    tracker.advance(Way.SENDS, End(stream=1, reason=Reason.TARGET, length=0))
    tracker.advance(Way.RECEIVES, Update(stream=1))  # it crossed END
    assert tracker.stream(1) is StreamState.CLOSED


def test_nothing_begins_after_goaway() -> None:
    receiver, sender = ready(Role.RECEIVER), ready(Role.SENDER)
    receiver.advance(Way.RECEIVES, Goaway(wait=5.0))
    sender.advance(Way.SENDS, Goaway(wait=5.0))
    assert receiver.connection is sender.connection is ConnectionState.LEAVING
    with pytest.raises(LocalProtocolError, match="OPEN cannot be sent: the connection is LEAVING"):
        receiver.advance(Way.SENDS, Open(stream=1, image="a"))
    sender.advance(Way.RECEIVES, Open(stream=1, image="a"))  # it crossed GOAWAY
    sender.advance(Way.SENDS, End(stream=1, reason=Reason.DRAINING, length=0))


def test_errors_of_streams_leave_the_connection_alone() -> None:
    tracker = ready(Role.RECEIVER)
    tracker.advance(Way.SENDS, Open(stream=1, image="a"))
    tracker.advance(Way.RECEIVES, Error(stream=1, code="x", message="x"))
    states = [tracker.connection]
    tracker.advance(Way.RECEIVES, Error(stream=0, code="x", message="x"))
    states.append(tracker.connection)
    assert states == [ConnectionState.READY, ConnectionState.CLOSED]
