"""What benchmarks have in common as commands: their flags, an exit code, one line on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from diffc_stream.errors import DiffcError


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


def count(text: str) -> int:
    """Return a number that a flag gives, from 1 to 1,000,000."""
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1,000,000")
    return value
