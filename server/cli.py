"""The options of ``diffc-server`` and its help text."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from diffc_stream.budget import Budget
from diffc_stream.container import Facts
from diffc_stream.flags import (
    Endpoint,
    add_budget,
    add_camera,
    add_metadata,
    add_metrics,
    budget_of,
    integer,
    number,
    size,
)
from diffc_stream.session import MAX_WINDOW, MIN_WINDOW, Terms
from diffc_stream.transport.logging import add_logging
from diffc_stream.transport.mqtt import Broker
from diffc_stream.transport.settings import Configuration, add_configuration

from .auth.options import add_options
from .mqtt.options import add_mqtt

"""Largest value of --key-every, in seconds."""
LONGEST_DRAIN = 86_400.0
"""Largest value of --drain, in seconds."""

DESCRIPTION = """\
Serve a folder of pictures over slow links.

Every file below DIR that is a picture can be asked for by its path relative to DIR; it is encoded
while it is sent, once, however many receivers ask.  Streams (.dfc) in the folder are sent as they
are.  When it is listening, one line with its address is printed.  A browser that opens the address,
with http:// for ws://, shows the pictures as they arrive.
"""

EXAMPLES = """\
examples:
  diffc-server photos/                      serve photos/ on ws://127.0.0.1:8765
  diffc-server photos/ --port 0 --json      on any free port; print {"url": ...}
  diffc-server photos/ --store streams/     encode nothing twice, after the next start either
  diffc-server --tokens tokens.toml --new-token ship      make a token, and print it once
  diffc-server photos/ --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --tokens tokens.toml
                                            to clients with one of these tokens, from anywhere
  diffc-server photos/ --dial wss://hub:8766/cam1  send to a hub that listens, from behind a NAT
  diffc-server photos/ --mqtt mqtts://hub/cameras/gate     publish to an MQTT broker
  diffc-server webcam/ --follow-camera      each picture from the one before, in far fewer bytes
  diffc-server photos/ --compare            browsers can see AVIF and JPEG of the same bytes

  then, elsewhere:  diffc-client get ws://HOST:8765/coffee.jpg -o coffee.png
  or, without it:   curl -r 0-4999 http://HOST:8765/coffee.jpg.dfc -o coffee.dfc

DIFFC_ENGINE in the environment says what runs models: onnxruntime (if it can) or torch.
An option --some-thing can also stand in the environment, as DIFFC_SERVER_SOME_THING, and in the
file of --config, as some-thing = ...; flags count most, and --no-some-thing takes one back.
SIGINT and SIGTERM end it gently: receivers are told to come back later.  A second one ends
it at once.  Tokens and certificate are read again when their files change, and at SIGHUP.
exit codes: 0 it was told to stop, 1 it could not start, 2 wrong usage, 6 the model cannot be used
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of ``diffc-server``; for access see :class:`.auth.options.SecurityOptions`.

    Every field has the name, unit and range of its option.
    """

    folder: Path
    host: str
    port: int
    dial: list[str]
    dial_token: Path | None
    dial_ca: Path | None
    mqtt: Broker | None
    mqtt_login: Path | None
    mqtt_ca: Path | None
    mqtt_message: int
    mqtt_bytes: int | None
    mqtt_psnr: float | None
    mqtt_pictures: int
    home_assistant: bool
    budget: Budget
    """What may be sent to all receivers together."""
    budget_file: Path | None
    listen: bool
    window: int
    connections: int
    viewer: bool
    compare: bool
    model: Path | None
    encoders: int
    queue: int
    metadata: Facts
    follow_camera: bool
    key_every: float
    store: str | None
    store_size: int
    store_cache: Path | None
    tokens: Path | None
    insecure: bool
    metrics: Endpoint | None
    drain: float
    reuse_port: bool
    json: bool

    @classmethod
    def read(cls, options: argparse.Namespace) -> Self:
        """Return the settings that the parsed options hold."""
        told = vars(options) | {"budget": budget_of(options)}
        return cls(**{field.name: told[field.name] for field in fields(cls)})


def configuration() -> Configuration:
    """Return all settings, and where they can be set: flags, environment, file."""
    aside = ("new-token", "expires")  # actions, not settings
    return Configuration("DIFFC_SERVER", {"": argument_parser()}, aside=aside)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="diffc-server",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", help="folder of pictures and streams"
    )
    for add in (
        _add_listening,
        add_mqtt,
        _add_budget,
        _add_encoding,
        _add_store,
        add_options,
        _add_operations,
    ):
        add(parser)
    return parser


def _add_listening(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connections")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument(
        "--port",
        type=integer(0, 65_535),
        default=8765,
        help="port to listen on; 0 is any free one (%(default)s)",
    )
    group.add_argument(
        "--dial",
        metavar="URL",
        type=_receiver,
        action="append",
        default=[],
        help="send to a receiver that listens (diffc-client mirror --listen), ws://HOST:PORT/NAME, "
        "with NAME as this sender's name (may be repeated)",
    )
    group.add_argument(
        "--dial-token", metavar="FILE", type=Path, help="... with the token in this file"
    )
    group.add_argument(
        "--dial-ca",
        metavar="FILE",
        type=Path,
        help="... trusting these authorities, PEM (default: the system's)",
    )
    group.add_argument(
        "--no-listen",
        dest="listen",
        action="store_false",
        help="with --dial or --mqtt: do not listen for receivers",
    )
    group.add_argument(
        "--window",
        metavar="BYTES",
        type=integer(MIN_WINDOW, MAX_WINDOW),
        default=Terms().window,
        help="most unacknowledged bytes in flight on a connection (%(default)s)",
    )
    group.add_argument(
        "--connections",
        metavar="N",
        type=integer(1, 100_000),
        default=2000,
        help="most receivers at once, those over plain HTTP included (%(default)s)",
    )
    group.add_argument(
        "--no-viewer",
        dest="viewer",
        action="store_false",
        help="serve no page to browsers, and nothing to web pages",
    )
    group.add_argument(
        "--compare",
        action="store_true",
        help="offer the page AVIF and progressive JPEG of the same bytes; encoding them takes time",
    )


def _add_budget(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("budget")
    add_budget(group, "bytes to send to all receivers together")
    group.add_argument(
        "--budget-file",
        metavar="FILE",
        type=Path,
        help="... noting in this file what was sent, for the next start",
    )


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("encoding")
    group.add_argument(
        "--model",
        metavar="FILE",
        type=Path,
        help="encode with this model for receivers that have it; for others, and by default, with "
        "the first of those that diffc models lists that they have",
    )
    group.add_argument(
        "--encoders",
        metavar="N",
        type=integer(1, 64),
        default=1,
        help="pictures encoded at once (%(default)s)",
    )
    group.add_argument(
        "--queue",
        metavar="N",
        type=integer(0, 10_000),
        default=64,
        help="pictures that may wait for an encoder; further requests are told when to come back "
        "(%(default)s)",
    )
    add_metadata(group)
    add_camera(group, " for receivers that know how,")


def _add_store(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("store")
    group.add_argument(
        "--store",
        metavar="PLACE",
        help="keep streams in this folder, or at a URL that fsspec knows; senders that share it "
        "encode each picture once",
    )
    group.add_argument(
        "--store-cache",
        metavar="FOLDER",
        type=Path,
        help="keep a copy here of what is read from and written to the store, of the same size: "
        "for a store at a URL",
    )
    group.add_argument(
        "--store-size",
        metavar="BYTES",
        type=size,
        default=2**30,
        help="most bytes kept there, with K, M, G or T for powers of 1024; the least recently used "
        "streams are deleted (1G)",
    )


def _add_operations(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("operations")
    add_configuration(group)
    add_logging(group)
    add_metrics(group)
    group.add_argument(
        "--drain",
        metavar="SECONDS",
        type=number(LONGEST_DRAIN),
        default=10.0,
        help="time that receivers get to close when it is told to stop (%(default)g)",
    )
    group.add_argument(
        "--reuse-port",
        action="store_true",
        help="let other processes listen on the same port, so that one can take over from another",
    )
    group.add_argument("--json", action="store_true", help="print the address as a JSON object")


def _receiver(text: str) -> str:
    """Check and return the address of a receiver.  Raises ArgumentTypeError or ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.port == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not ws://HOST:PORT/NAME")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is more than ws://HOST:PORT/NAME")
    return text
