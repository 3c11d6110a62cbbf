"""The protocol between sender and receiver, sans IO: messages, states and flow control.

See docs/protocol.md for the protocol and :mod:`diffc_stream.session.session` for how to drive it.
"""

from diffc_stream.session.coding import decode, encode
from diffc_stream.session.messages import (
    MAX_BPP,
    MAX_MESSAGE,
    MAX_PSNR,
    MAX_SIDE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    PUSH_SUBPROTOCOL,
    SUBPROTOCOL,
    Ack,
    Alive,
    Capability,
    Catalogue,
    Code,
    Data,
    End,
    Entry,
    Error,
    Goaway,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Stop,
    Update,
    Welcome,
)
from diffc_stream.session.prefix import PrefixHash
from diffc_stream.session.receiver import ReceiverSession
from diffc_stream.session.region import Rectangle, Region, covering
from diffc_stream.session.sender import SenderSession
from diffc_stream.session.session import Session, Terms, peer_error
from diffc_stream.session.state import Role
from diffc_stream.session.target import WHOLE, Target, TargetOptions

__all__ = [
    "MAX_BPP",
    "MAX_MESSAGE",
    "MAX_PSNR",
    "MAX_SIDE",
    "MAX_STREAM",
    "MAX_WINDOW",
    "MIN_WINDOW",
    "PUSH_SUBPROTOCOL",
    "SUBPROTOCOL",
    "WHOLE",
    "Ack",
    "Alive",
    "Capability",
    "Catalogue",
    "Code",
    "Data",
    "End",
    "Entry",
    "Error",
    "Goaway",
    "Hello",
    "List",
    "Message",
    "Open",
    "PrefixHash",
    "Reason",
    "ReceiverSession",
    "Rectangle",
    "Region",
    "Role",
    "SenderSession",
    "Session",
    "Stop",
    "Target",
    "TargetOptions",
    "Terms",
    "Update",
    "Welcome",
    "covering",
    "decode",
    "encode",
    "peer_error",
]
