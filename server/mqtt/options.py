"""The options of ``diffc-server`` for MQTT."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.errors import AddressError
from diffc_stream.flags import integer, number
from diffc_stream.session import MAX_STREAM
from diffc_stream.transport.mqtt import ENVIRONMENT, MOST_MESSAGE, Broker
from diffc_stream.transport.mqtt_topics import LEAST_MESSAGE

MOST_PICTURES = 900
"""Brokers drop what a subscriber has not taken beyond some number of messages, 1,000 by default of
mosquitto; so many items are told at once."""


MOST_PSNR = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is published."""

    piece: int = 8192
    """Bytes of a message."""
    bytes: int | None = None
    """Bytes of each picture at most; None is all of its stream."""
    psnr: float | None = None
    """... or until it is so good, in dB, as predicted."""
    pictures: int = 100
    """How many, the newest."""


def add_mqtt(parser: argparse.ArgumentParser) -> None:
    """Add the options of MQTT to a parser."""
    group = parser.add_argument_group("MQTT (extra mqtt)")
    group.add_argument(
        "--mqtt",
        metavar="URL",
        type=broker,
        help="publish streams to a broker, mqtt://HOST:PORT/PREFIX or mqtts://, in retained "
        "messages below the topic PREFIX",
    )
    group.add_argument(
        "--mqtt-login",
        metavar="FILE",
        type=Path,
        help=f"... with the USER:PASSWORD in this file (else in ${ENVIRONMENT})",
    )
    group.add_argument(
        "--mqtt-ca",
        metavar="FILE",
        type=Path,
        help="... trusting these authorities, PEM (default: the system's)",
    )
    usual = Extent()
    group.add_argument(
        "--mqtt-message",
        metavar="BYTES",
        type=integer(LEAST_MESSAGE, MOST_MESSAGE),
        default=usual.piece,
        help="bytes of a stream in each message: no more than the link carries in a minute "
        "(%(default)s)",
    )
    group.add_argument(
        "--mqtt-bytes",
        metavar="BYTES",
        type=integer(1, MAX_STREAM),
        help="so many bytes of each picture at most (default: all of its stream)",
    )
    group.add_argument(
        "--mqtt-psnr",
        metavar="DB",
        type=number(MOST_PSNR),
        help="... or until it is so good, as predicted: what has not changed since the picture "
        "before costs little then (--follow-camera)",
    )
    group.add_argument(
        "--mqtt-pictures",
        metavar="N",
        type=integer(1, MOST_PICTURES),
        default=usual.pictures,
        help="so many pictures, the newest (%(default)s)",
    )
    group.add_argument(
        "--home-assistant",
        action="store_true",
        help="show the newest picture as a camera of Home Assistant, which finds it by itself",
    )


def broker(text: str) -> Broker:
    """Return the broker at an address.  Raises ArgumentTypeError."""
    try:
        return Broker.parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
