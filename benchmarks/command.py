"""What benchmarks have in common as commands: their flags, an exit code, one line on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from diffc_stream.destination import writing
from diffc_stream.errors import DiffcError
from diffc_stream.flags import integer

from .pictures import commit, machine

count = integer(1, 1_000_000)
"""A type for argparse: how many of something."""


def exit_code(name: str, work: Callable[[], None], *, interrupted: str = "interrupted") -> int:
    """Do ``work`` and return the exit code; ``interrupted`` is what Ctrl-C is answered with."""
    try:
        work()
    except DiffcError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: {interrupted}", file=sys.stderr)
        return 130
    return 0


def tell(shown: str, facts: Mapping[str, object], where: str | None) -> None:
    """Print a table unless ``where``, the value of --json, is ``-``; put a record there, if given.

    The record has ``facts``, and where they come from.
    """
    if where != "-":
        print(shown)
    if where:
        record = {"commit": commit(), "machine": machine(), **facts}
        put(json.dumps(record, indent=1), where)


def put(text: str, where: str) -> None:
    """Write ``text`` to the file ``where``, wholly or not at all; ``-`` is standard output."""
    if where == "-":
        print(text)
        return
    with writing(Path(where)) as file:
        file.write(text.encode())
