"""Flags and types of flags that several commands share: limited numbers, addresses, rendering."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass

from diffc_stream.budget import PERIODS, Budget, Window
from diffc_stream.container.metadata import DISCREET, Fact, Facts
from diffc_stream.order import Order
from diffc_stream.succession import KEY_EVERY, LONGEST_PERIOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


Rectangle = tuple[int, int, int, int]
"""Left, top, width and height of a part of a picture, in pixels."""


def rectangle(text: str) -> Rectangle:
    """Parse LEFT,TOP,WIDTH,HEIGHT.  Raises ArgumentTypeError if it is no part of any picture."""
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        left, top, width, height = 0, 0, 0, 0
    if min(left, top) < 0 or min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not LEFT,TOP,WIDTH,HEIGHT in pixels")
    return left, top, width, height


def endpoint(text: str) -> Endpoint:
    """Parse HOST:PORT, or a PORT, which then stands for the loopback address of this machine.

    Raises ArgumentTypeError if it is neither.
    """
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    # An IPv6 address needs brackets: otherwise its last group would be taken for the port.
    wrong = text.startswith(":") or (":" in host and bare == host)
    if wrong or not (port.isascii() and port.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither HOST:PORT nor a PORT")
    if int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"there is no port {port}")
    return Endpoint(host=bare or "127.0.0.1", port=int(port))


def add_metrics(parser: argparse._ActionsContainer) -> None:
    """Add ``--metrics``, the port for monitoring a daemon."""
    parser.add_argument(
        "--metrics",
        metavar="[HOST:]PORT",
        type=endpoint,
        help="answer /metrics, /livez and /readyz there, and nowhere else (default: nowhere)",
    )


def add_budget(parser: argparse._ActionsContainer, what: str) -> None:
    """Add the options of a budget; ``what`` says of which bytes it is."""
    for period in PERIODS:
        every = "an" if period == "hour" else "a"
        text = "of the calendar, local time; K, M, G and T are powers of 1024 (no limit)"
        first = f"{what}: at most so many {every} {period}, {text}"
        parser.add_argument(
            f"--bytes-per-{period}",
            metavar="BYTES",
            type=size,
            help=first if period == PERIODS[0] else f"... or {every} {period}",
        )
    parser.add_argument(
        "--between",
        metavar="HH:MM-HH:MM",
        type=window,
        action="append",
        default=[],
        help="... and only at these times of day, local time; may cross midnight, and be repeated",
    )


def add_order(parser: argparse._ActionsContainer, usual: str, text: str) -> None:
    """Add the options of an order; ``text`` says what ``usual``, the default, and newest mean."""
    parser.add_argument(
        "--order", choices=[usual, "newest"], default=usual, help=f"{text} (%(default)s)"
    )
    parser.add_argument(
        "--first",
        metavar="GLOB",
        action="append",
        default=[],
        help="pictures whose names match, such as 'alarm/*', come before all others (may be "
        "repeated, the most important first)",
    )


def order_of(options: argparse.Namespace) -> Order:
    """Return the order that the options give."""
    return Order(newest=options.order == "newest", first=tuple(options.first))


def window(text: str) -> Window:
    """Return a window of the day.  Raises ArgumentTypeError."""
    try:
        return Window.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def budget_of(options: argparse.Namespace) -> Budget:
    """Return the budget that the options give."""
    limits = {period: getattr(options, f"bytes_per_{period}") for period in PERIODS}
    return Budget(**limits, windows=tuple(options.between))


def add_rendering(parser: argparse.ArgumentParser) -> None:
    """Add ``--render`` and ``--realism``, which exclude each other; both set ``render``."""
    rendering = parser.add_mutually_exclusive_group()
    rendering.add_argument(
        "--render",
        choices=["mmse", "flow", "ancestral"],
        default="mmse",
        help="mmse is closest to the original; flow and ancestral look real, and synthesise "
        "detail (default mmse)",
    )
    rendering.add_argument(
        "--realism",
        dest="render",
        metavar="R",
        type=realism,
        default=argparse.SUPPRESS,
        help="anything between: from 0, which is mmse, to 1, which is flow",
    )


def add_quality(parser: argparse._ActionsContainer) -> None:
    """Add ``--quality``, the quality of pictures that are written."""
    parser.add_argument(
        "--quality",
        metavar="Q",
        type=integer(1, 100),
        help="of a JPEG, WebP or AVIF that is written, 1 to 100 (default 92, 92 and 85)",
    )


def add_camera(parser: argparse._ActionsContainer, who: str) -> None:
    """Add the options by which pictures start from those before; ``who`` are their receivers."""
    parser.add_argument(
        "--follow-camera",
        action="store_true",
        help="the pictures of each folder are those of a fixed camera: each starts from the "
        f"picture before, by modification time,{who} and takes fewer bytes",
    )
    parser.add_argument(
        "--key-every",
        metavar="SECONDS",
        type=number(LONGEST_PERIOD),
        default=KEY_EVERY,
        help="... except the first in each so many seconds of the clock (%(default)g), which needs "
        "no other",
    )


def add_metadata(parser: argparse._ActionsContainer) -> None:
    """Add ``--metadata``, a set of facts."""
    parser.add_argument(
        "--metadata",
        metavar="FACTS",
        type=facts,
        default=DISCREET,
        help="what streams say of how a picture was taken, a hundred bytes at most: all, none, or "
        f"some of {Facts(Fact)} (default {DISCREET})",
    )


def facts(text: str) -> Facts:
    """Return the facts that ``text`` names.  Raises ArgumentTypeError."""
    try:
        return Facts.named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


MAX_PIXELS = 100_000_000
"""Pixels of the largest picture that a receiver accepts by default, and that a sender sends."""


def add_max_pixels(parser: argparse._ActionsContainer) -> None:
    """Add ``--max-pixels``, the size of picture that a stream may ask for."""
    parser.add_argument(
        "--max-pixels",
        metavar="N",
        type=integer(1, 65_535**2),
        default=MAX_PIXELS,
        help="refuse streams of larger pictures: a few bytes can name any size, and showing it "
        "takes several bytes of memory a pixel (%(default)s)",
    )


def identity(text: str) -> int:
    """Return the number of a stream in packets, from its hex.

    Raises ArgumentTypeError, or ValueError if it is no number.
    """
    value = int(text, 16)
    if not 0 <= value < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not the number of a stream")
    return value


def realism(text: str) -> float:
    """Return a number from 0 to 1.  Raises ArgumentTypeError, or ValueError if it is no number."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a type for argparse: whole numbers from ``low`` to ``high``, both included."""

    def integer(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not within {low} to {high}")
        return value

    return integer


def number(high: float) -> Callable[[str], float]:
    """Return a type for argparse: numbers above 0 and up to ``high``."""

    def number(text: str) -> float:
        value = float(text)
        # Written so that a NaN fails too.
        if not 0 < value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to {high:g}")
        return value

    return number


def size(text: str) -> int:
    """Parse a number of bytes above 0; the suffixes K, M, G and T are powers of 1024.

    Raises ArgumentTypeError.
    """
    found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", text)
    value = int(found[1]) << (10 * " KMGT".index(found[2] or " ")) if found else 0
    if not 0 < value < 2**60:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bytes, like 500M or 2G")
    return value
