"""The tables themselves: whole, symmetric, and what the documentation shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session.messages import (
    CONTROL,
    Data,
    End,
    Error,
    Hello,
    Message,
    Open,
    Reason,
    Stop,
    Welcome,
    grammar,
    title,
)
from diffc_stream.session.state import (
    CONNECTION,
    STREAM,
    ConnectionState,
    Role,
    StreamState,
    Table,
    Tracker,
    Way,
    markdown,
)

DOCUMENT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
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


def test_errors_of_streams_leave_the_connection_alone() -> None:
    tracker = ready(Role.RECEIVER)
    tracker.advance(Way.SENDS, Open(stream=1, image="a"))
    tracker.advance(Way.RECEIVES, Error(stream=1, code="x", message="x"))
    states = [tracker.connection]
    tracker.advance(Way.RECEIVES, Error(stream=0, code="x", message="x"))
    states.append(tracker.connection)
    assert states == [ConnectionState.READY, ConnectionState.CLOSED]


@pytest.mark.parametrize("tables", [CONNECTION, STREAM], ids=["connection", "stream"])
def test_the_document_shows_the_tables(tables: dict[Role, Table]) -> None:
    assert markdown(tables) in DOCUMENT


@pytest.mark.parametrize("message", CONTROL, ids=title)
def test_the_document_shows_every_field(message: type[Message]) -> None:
    rows = [f"| `{name}` | {field} |" for name, field in grammar(message).items()]
    section = DOCUMENT.split(f"#### {title(message)} ")[1].split("####")[0]
    assert section.startswith(f"(0x{message.kind:02x}) ")
    assert [row for row in rows if row not in section] == []
    assert section.count("| `") == len(rows)
