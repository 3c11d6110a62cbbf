"""The protocol between sender and receiver, sans IO: messages, states and flow control.

See docs/protocol.md for the protocol and :mod:`diffc_stream.session.session` for how to drive it.
"""

from diffc_stream.session.messages import (
    MAX_BPP,
    MAX_MESSAGE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    SUBPROTOCOL,
    Ack,
    Alive,
    Catalogue,
    Code,
    Data,
    End,
    Error,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Stop,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.session import ReceiverSession, SenderSession, Session, Terms, peer_error
from diffc_stream.session.state import Role

__all__ = [
    "MAX_BPP",
    "MAX_MESSAGE",
    "MAX_STREAM",
    "MAX_WINDOW",
    "MIN_WINDOW",
    "SUBPROTOCOL",
    "Ack",
    "Alive",
    "Catalogue",
    "Code",
    "Data",
    "End",
    "Error",
    "Hello",
    "List",
    "Message",
    "Open",
    "Reason",
    "ReceiverSession",
    "Role",
    "SenderSession",
    "Session",
    "Stop",
    "Terms",
    "Welcome",
    "decode",
    "encode",
    "peer_error",
]
