"""The command ``diffc``: pictures to .dfc files and back.

Each command is a module with its flags (``add``) and its work (``run``).  Modules that compute are
imported when they are used, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from diffc_stream.allocation import keep_freed_memory
from diffc_stream.cli import (
    bench,
    bulk,
    decode,
    encode,
    inspect,
    link,
    models,
    publish,
    receive_packets,
    send_packets,
)
from diffc_stream.cli.arguments import EXIT_CODES
from diffc_stream.console import escape_what_cannot_be_shown
from diffc_stream.errors import DiffcError, one_line
from diffc_stream.threads import wait_asleep

_COMMANDS = {
    "encode": encode,
    "decode": decode,
    "inspect": inspect,
    "bulk": bulk,
    "publish": publish,
    "models": models,
    "link": link,
    "send-packets": send_packets,
    "receive-packets": receive_packets,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``diffc`` and return its exit code; errors are one line on stderr."""
    escape_what_cannot_be_shown()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bench"]:
        return bench.run(given[1:])
    parsed = argument_parser().parse_args(given)
    keep_freed_memory()
    wait_asleep()
    try:
        _COMMANDS[parsed.command].run(parsed)
    except DiffcError as error:
        print(f"diffc: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"diffc: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("diffc: interrupted", file=sys.stderr)
        return 130
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="diffc",
        description="Pictures to progressive .dfc streams and back. "
        "A stream may be cut anywhere: what is left of it decodes.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (*_COMMANDS.values(), bench):
        command.add(commands)
    return parser
