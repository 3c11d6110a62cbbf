"""Flags that the commands have in common, wherever pictures are rendered."""

from __future__ import annotations

import argparse


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
