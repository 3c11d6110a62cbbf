"""How a benchmark ends as a command: an exit code, and one line on stderr if something is wrong."""

from __future__ import annotations

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
