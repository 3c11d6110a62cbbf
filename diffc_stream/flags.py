"""What the flags of commands have in common: numbers with limits, and how to render."""

from __future__ import annotations

import argparse
from collections.abc import Callable


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


def realism(text: str) -> float:
    """Return a number from 0 to 1.  Raises ArgumentTypeError, or ValueError for no number."""
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
