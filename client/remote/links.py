"""The kinds of links, which have the same interface as far as mirrors and programs use them."""

from __future__ import annotations

from collections.abc import Iterable

from diffc_stream.session import Terms
from diffc_stream.transport.websocket import OPENING

from .address import Address
from .credentials import NO_ACCESS, Access
from .http_ranges import IncomingRangeStream, RangeLink
from .mqtt import MqttLink
from .mqtt_stream import IncomingMqttStream
from .receive_buffer import IncomingStream
from .websocket import Link

PullLink = RangeLink | MqttLink
"""A link over which each piece has to be asked for; nobody sends by a target."""
AnyLink = Link | PullLink
"""A sender, a file server, or a broker that keeps what a sender has published."""
AnyStream = IncomingStream | IncomingRangeStream | IncomingMqttStream
"""A stream over one of them."""


async def dial(
    address: Address,
    *others: Address,
    access: Access = NO_ACCESS,
    models: Iterable[str] = (),
    terms: Terms | None = None,
    opening: float = OPENING,
    plain: bool = False,
) -> AnyLink:
    """Connect to what an address is of.

    On a file server there may be ``others`` to come from there.  ``models`` are the fingerprints of
    those at hand; ``terms``, and the ``opening`` seconds, are those of a sender.  With ``plain``,
    streams that start from no other picture are asked for.  Raises LinkLost, RemoteProtocolError,
    Unauthorized, SafetyError, or MissingPackage.
    """
    terms = terms or Terms()
    if address.mqtt:
        return await MqttLink.dial(address.sender, access=access)
    if address.plain:
        return await RangeLink.dial(address, *others, terms=terms, access=access, plain=plain)
    return await Link.dial(
        address, models=models, terms=terms, access=access, opening=opening, plain=plain
    )
