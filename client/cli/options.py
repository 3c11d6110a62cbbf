"""Options that several commands of ``diffc-client`` share."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from diffc_stream.flags import (
    add_budget,
    add_max_pixels,
    add_order,
    add_rendering,
    integer,
    number,
    size,
)
from diffc_stream.session import (
    MAX_BPP,
    MAX_PSNR,
    MAX_SIDE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    Target,
    Terms,
)
from diffc_stream.transport.logging import start_logging

from ..remote.credentials import Access, access_from

LONGEST = 366 * 86_400.0
"""Largest value, in seconds, of options that are times."""
EXIT_CODES = """\
environment: DIFFC_ENGINE says what runs models, onnxruntime (if it can) or torch; DIFFC_TOKEN is
shown to senders that require a token, DIFFC_CA is a file of authorities to trust,
DIFFC_MQTT_LOGIN is USER:PASSWORD for MQTT brokers; http_proxy, https_proxy,
all_proxy and no_proxy work as in other programs
exit codes: 0 done, 1 OUT cannot be written, 2 wrong usage, 3 too few bytes for any picture,
4 the picture is not one that OUT's format can hold, 5 the stream is damaged, 6 its model is
missing, 7 the link or the sender failed, 8 the sender requires a token, another token, or TLS,
130 interrupted
"""


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,  # noqa: A002  (as argparse calls it)
    description: str,
    examples: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command that ``run`` carries out, and return its parser."""
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    return parser


def start_log(options: argparse.Namespace) -> None:
    """Start logging as the options say, for a command that runs until stopped."""
    start_logging(options.log_level, options.log_format)
    logging.getLogger("websockets").setLevel(logging.ERROR)


def add_target(parser: argparse.ArgumentParser, first: str, *, side: bool = False) -> None:
    """Add the options of the target; ``first`` is the help text of --bytes."""
    parser.add_argument("--bytes", metavar="N", type=integer(1, MAX_STREAM), help=first)
    parser.add_argument("--bpp", metavar="X", type=number(MAX_BPP), help="... or bits per pixel")
    if side:
        parser.add_argument(
            "--side",
            metavar="PIXELS",
            type=integer(1, MAX_SIDE),
            help="... or when there is enough detail for a longer side of so many",
        )
    parser.add_argument(
        "--psnr",
        metavar="DB",
        type=number(MAX_PSNR),
        help="... or when the predicted quality is reached",
    )
    parser.set_defaults(side=None)


def target(options: argparse.Namespace) -> Target:
    """Return the target that the options give."""
    return Target(bytes=options.bytes, bpp=options.bpp, side=options.side, psnr=options.psnr)


def access(options: argparse.Namespace) -> Access:
    """Return the tokens and authorities that the options give.  Raises SafetyError."""
    return access_from(
        options.token_file,
        options.ca,
        exposed=options.insecure,
        mqtt_login=options.mqtt_login,
    )


def add_receiving(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that receive and decode streams."""
    add_rendering(parser)
    add_decoding(parser)
    parser.add_argument(
        "--window",
        metavar="BYTES",
        type=integer(MIN_WINDOW, MAX_WINDOW),
        default=Terms().window,
        help="most bytes in flight; slow links use fewer, and a larger value helps where rate "
        "times round-trip time exceeds half of it (%(default)s)",
    )
    add_access(parser)


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """Add the limit and the model of decoding."""
    add_max_pixels(parser)
    parser.add_argument(
        "--model", metavar="FILE", type=Path, help="a model beside those that diffc models lists"
    )


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the options for tokens and TLS."""
    group = parser.add_argument_group("tokens and TLS")
    group.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="the token to show, or lines of HOST TOKEN (else the one in $DIFFC_TOKEN)",
    )
    group.add_argument(
        "--mqtt-login",
        metavar="FILE",
        type=Path,
        help="the USER:PASSWORD to show to MQTT brokers (else in $DIFFC_MQTT_LOGIN)",
    )
    group.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="authorities to trust, PEM (else $DIFFC_CA, else the system's)",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="show the token on ws://, http:// and mqtt:// too, where others may read it",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits on what one sender may store."""
    parser.add_argument(
        "--most",
        metavar="BYTES",
        type=size,
        default=2**34,
        help="disk space for one sender, with K, M, G or T for powers of 1024 (16G)",
    )
    parser.add_argument(
        "--most-pictures",
        metavar="N",
        type=integer(1, 10_000_000),
        default=100_000,
        help="pictures that are kept of one sender, and folders made for them (%(default)s)",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the budget, and the order in which pictures are received."""
    group = parser.add_argument_group("budget and order")
    add_budget(group, "bytes of streams to receive, of all senders together")
    add_order(
        group,
        "rounds",
        "the first bytes of all pictures before the last of any, or the newest picture first, as "
        "far as it is wanted",
    )


def add_every(parser: argparse.ArgumentParser, text: str) -> None:
    """Add --every, an interval in seconds, with ``text`` as its help."""
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=number(LONGEST),
        default=60.0,
        help=f"{text} (%(default)g)",
    )
