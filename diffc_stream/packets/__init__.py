"""A stream as packets of which any may be lost, repeated or late, for links without a way back.

:class:`Broadcast` cuts a stream into packets, and :class:`Receiver` makes of those that arrive as
much of the stream as they tell.  Both work on bytes, without sockets; docs/packets.md is the
grammar, and docs/decisions/0034 says why it is so.
"""

from diffc_stream.packets.broadcast import USUAL_SIZE, Broadcast
from diffc_stream.packets.grammar import LARGEST, SMALLEST, Kind, Packet
from diffc_stream.packets.plan import Plan
from diffc_stream.packets.receiver import Outcome, Receiver
from diffc_stream.packets.stream import Gathered

__all__ = [
    "LARGEST",
    "SMALLEST",
    "USUAL_SIZE",
    "Broadcast",
    "Gathered",
    "Kind",
    "Outcome",
    "Packet",
    "Plan",
    "Receiver",
]
