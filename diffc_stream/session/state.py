"""The protocol's two state machines, as literal tables: who may say what, and when.

A connection is a state machine, and so is every stream on it.  Each end keeps its own copy of both
and has a table for its role.  The table gives the state after each message; a message that is not
in it is an error, of this side when sending, of the peer when receiving.  Two rules keep this file
honest:

1. Only :class:`Tracker` changes a state, and only by these tables.
2. The tables in docs/protocol.md are printed from here (:func:`markdown`), never written by hand.

A message with a stream id passes both tables, first the connection's, then the stream's.  ERROR
passes only one: the connection's with stream 0, otherwise that stream's.

Messages may cross on their way.  STOP or UPDATE may reach a sender that has just sent END, OPEN one
that has just sent GOAWAY, and DATA a receiver that has just sent STOP.  The tables contain all of
these, and nothing that cannot happen.
"""

from __future__ import annotations

from enum import Enum

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session.messages import (
    Ack,
    Alive,
    Catalogue,
    Data,
    End,
    Error,
    Goaway,
    Hello,
    List,
    Message,
    Open,
    Stop,
    Update,
    Welcome,
    title,
)


class Role(Enum):
    """Which end of the connection this is."""

    SENDER = "sender"
    RECEIVER = "receiver"


class Way(Enum):
    """Whether this end sends a message or receives it."""

    SENDS = "sends"
    RECEIVES = "receives"


class ConnectionState(Enum):
    """How far a connection has got."""

    START = "START"
    GREETED = "GREETED"
    """The receiver has sent HELLO and may go on at once; the sender has received it."""
    READY = "READY"
    LEAVING = "LEAVING"
    """The sender has said GOAWAY: what is under way is finished, but nothing new begins."""
    CLOSED = "CLOSED"


class StreamState(Enum):
    """How far one stream has got."""

    IDLE = "IDLE"
    OPEN = "OPEN"
    STOPPING = "STOPPING"
    CLOSED = "CLOSED"


State = ConnectionState | StreamState
Trigger = tuple[Way, type[Message]]
Table = dict[State, dict[Trigger, State]]

_SENDS, _RECEIVES = Way.SENDS, Way.RECEIVES
_START, _GREETED = ConnectionState.START, ConnectionState.GREETED
_READY, _LEAVING = ConnectionState.READY, ConnectionState.LEAVING
_GONE = ConnectionState.CLOSED
_IDLE, _OPEN = StreamState.IDLE, StreamState.OPEN
_STOPPING, _CLOSED = StreamState.STOPPING, StreamState.CLOSED

CONNECTION: dict[Role, Table] = {
    Role.RECEIVER: {
        _START: {
            (_SENDS, Hello): _GREETED,
        },
        _GREETED: {
            (_SENDS, List): _GREETED,
            (_SENDS, Open): _GREETED,
            (_SENDS, Update): _GREETED,
            (_SENDS, Stop): _GREETED,
            (_SENDS, Alive): _GREETED,
            (_SENDS, Error): _GONE,
            (_RECEIVES, Welcome): _READY,
            (_RECEIVES, Error): _GONE,
        },
        _READY: {
            (_SENDS, List): _READY,
            (_SENDS, Open): _READY,
            (_SENDS, Update): _READY,
            (_SENDS, Ack): _READY,
            (_SENDS, Stop): _READY,
            (_SENDS, Alive): _READY,
            (_SENDS, Error): _GONE,
            (_RECEIVES, Catalogue): _READY,
            (_RECEIVES, Data): _READY,
            (_RECEIVES, End): _READY,
            (_RECEIVES, Alive): _READY,
            (_RECEIVES, Goaway): _LEAVING,
            (_RECEIVES, Error): _GONE,
        },
        _LEAVING: {
            (_SENDS, Update): _LEAVING,
            (_SENDS, Ack): _LEAVING,
            (_SENDS, Stop): _LEAVING,
            (_SENDS, Alive): _LEAVING,
            (_SENDS, Error): _GONE,
            (_RECEIVES, Catalogue): _LEAVING,
            (_RECEIVES, Data): _LEAVING,
            (_RECEIVES, End): _LEAVING,
            (_RECEIVES, Alive): _LEAVING,
            (_RECEIVES, Error): _GONE,
        },
        _GONE: {},
    },
    Role.SENDER: {
        _START: {
            (_SENDS, Error): _GONE,
            (_RECEIVES, Hello): _GREETED,
        },
        _GREETED: {
            (_SENDS, Welcome): _READY,
            (_SENDS, Error): _GONE,
        },
        _READY: {
            (_SENDS, Catalogue): _READY,
            (_SENDS, Data): _READY,
            (_SENDS, End): _READY,
            (_SENDS, Alive): _READY,
            (_SENDS, Goaway): _LEAVING,
            (_SENDS, Error): _GONE,
            (_RECEIVES, List): _READY,
            (_RECEIVES, Open): _READY,
            (_RECEIVES, Update): _READY,
            (_RECEIVES, Ack): _READY,
            (_RECEIVES, Stop): _READY,
            (_RECEIVES, Alive): _READY,
            (_RECEIVES, Error): _GONE,
        },
        _LEAVING: {
            (_SENDS, Catalogue): _LEAVING,
            (_SENDS, Data): _LEAVING,
            (_SENDS, End): _LEAVING,
            (_SENDS, Alive): _LEAVING,
            (_SENDS, Error): _GONE,
            (_RECEIVES, List): _LEAVING,
            (_RECEIVES, Open): _LEAVING,
            (_RECEIVES, Update): _LEAVING,
            (_RECEIVES, Ack): _LEAVING,
            (_RECEIVES, Stop): _LEAVING,
            (_RECEIVES, Alive): _LEAVING,
            (_RECEIVES, Error): _GONE,
        },
        _GONE: {},
    },
}

STREAM: dict[Role, Table] = {
    Role.RECEIVER: {
        _IDLE: {
            (_SENDS, Open): _OPEN,
        },
        _OPEN: {
            (_SENDS, Update): _OPEN,
            (_SENDS, Stop): _STOPPING,
            (_RECEIVES, Data): _OPEN,
            (_RECEIVES, End): _CLOSED,
            (_RECEIVES, Error): _CLOSED,
        },
        _STOPPING: {
            (_RECEIVES, Data): _STOPPING,
            (_RECEIVES, End): _CLOSED,
            (_RECEIVES, Error): _CLOSED,
        },
        _CLOSED: {},
    },
    Role.SENDER: {
        _IDLE: {
            (_RECEIVES, Open): _OPEN,
        },
        _OPEN: {
            (_SENDS, Data): _OPEN,
            (_SENDS, End): _CLOSED,
            (_SENDS, Error): _CLOSED,
            (_RECEIVES, Update): _OPEN,
            (_RECEIVES, Stop): _STOPPING,
        },
        _STOPPING: {
            (_SENDS, End): _CLOSED,
            (_SENDS, Error): _CLOSED,
        },
        _CLOSED: {
            (_RECEIVES, Update): _CLOSED,
            (_RECEIVES, Stop): _CLOSED,
        },
    },
}


_DATA = (Way.SENDS, Data)
_SENDING = [state for state, after in CONNECTION[Role.SENDER].items() if after.get(_DATA) is state]
"""States of a sender's connection in which it may send DATA and that DATA does not change ..."""
_FLOWING = [state for state, after in STREAM[Role.SENDER].items() if after.get(_DATA) is state]
"""... and of a stream."""


class Tracker:
    """The states of one connection and its streams, seen from one end.

    The receiver numbers streams upwards, so a stream that is no longer tracked is known to be
    closed.  One number is enough to remember, however many streams have come and gone.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.connection: ConnectionState = ConnectionState.START
        self.last_opened = 0
        self._streams: dict[int, StreamState] = {}

    @property
    def streams(self) -> tuple[int, ...]:
        """Ids of the streams that are open or stopping, oldest first."""
        return tuple(self._streams)

    @property
    def count(self) -> int:
        """How many streams are open or stopping."""
        return len(self._streams)

    def stream(self, stream: int) -> StreamState:
        """Return the state of a stream."""
        known = StreamState.CLOSED if stream <= self.last_opened else StreamState.IDLE
        return self._streams.get(stream, known)

    def advance(self, way: Way, message: Message) -> None:
        """Change the states as the tables say for ``message``.

        If it is not in the tables, raises LocalProtocolError (sending) or RemoteProtocolError
        (receiving) and changes nothing.
        """
        stream: int = getattr(message, "stream", 0)
        if not (isinstance(message, Error) and stream):
            state = _next(CONNECTION[self.role], self.connection, way, message, "the connection")
        else:
            state = self.connection
        if stream:
            where = f"stream {stream}"
            table = STREAM[self.role]
            self._put(stream, _next(table, self.stream(stream), way, message, where))
        assert isinstance(state, ConnectionState)
        self.connection = state

    def send_data(self, stream: int) -> None:
        """Do the same as :meth:`advance` for sending DATA of ``stream``, but faster.

        Raises LocalProtocolError if DATA may not be sent now.
        """
        # DATA is the most frequent message and changes no state, so no table need be consulted.
        if self.connection in _SENDING and self._streams.get(stream) in _FLOWING:
            return
        self.advance(Way.SENDS, Data(stream=stream, offset=0, payload=b""))

    def _put(self, stream: int, state: State) -> None:
        assert isinstance(state, StreamState)
        self.last_opened = max(self.last_opened, stream)
        if state is StreamState.CLOSED:
            self._streams.pop(stream, None)
        else:
            self._streams[stream] = state


def markdown(tables: dict[Role, Table]) -> str:
    """Return ``tables`` as a Markdown table, for docs/protocol.md."""
    rows = [
        f"| {role.value} | {state.value} | {way.value} {title(message)} | {after.value} |"
        for role, table in tables.items()
        for state, triggers in table.items()
        for (way, message), after in triggers.items()
    ]
    return "\n".join(["| end | state | when it | then |", "|---|---|---|---|", *rows])


def _next(table: Table, state: State, way: Way, message: Message, where: str) -> State:
    try:
        return table[state][way, type(message)]
    except KeyError:
        name = title(type(message))
        if way is Way.SENDS:
            raise LocalProtocolError(f"{name} cannot be sent: {where} is {state.value}") from None
        raise RemoteProtocolError(f"an unexpected {name}: {where} is {state.value}") from None
