"""Flags and types of flags that the commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""The object that commands are added to; argparse has no public name for it."""

EXIT_CODES = """\
exit codes:
  0  done
  1  a file cannot be read or written
  2  wrong usage, or a target that no stream can meet
  3  nothing decodable yet: the stream is too short to hold a picture
  4  the picture cannot be used
  5  the stream cannot be used
  6  the model is missing or unusable, or the picture that a stream starts from is missing
"""

ENGINE = """\
environment:
  DIFFC_ENGINE  what runs models: onnxruntime, which is faster, or torch, where it is installed;
                without it, the first that can run the model (diffc models lists which can)
"""


def command(commands: Commands, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    """Add a command that reads a picture or a stream, and return its parser."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}\n\n{ENGINE}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="IN", help="a file; - is standard input")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="a model beside those that diffc models lists; encode uses it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


SYMMETRIES = 2
"""How many mirror images and turns are averaged, unless somebody says otherwise."""


def add_reference(parser: argparse.ArgumentParser, what: str = "") -> None:
    """Add the option that says where the pictures are that a stream starts from.

    ``what`` is its help, if it is not that of a command that decodes.
    """
    parser.add_argument(
        "--reference",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=what
        or "a picture, or a stream, that the stream starts from; may be given several times. "
        "If the stream is a file, a file of the name that it says in its folder is found without",
    )


def count(text: str) -> int:
    """Return a number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
