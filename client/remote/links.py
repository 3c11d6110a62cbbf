"""The kinds of links, which have the same interface as far as mirrors and programs use them."""

from __future__ import annotations

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
