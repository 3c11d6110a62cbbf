"""The command ``diffc-client``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Before any slow import, so that Ctrl-C is handled during those too: see start.py.
    from .start import main as start

    sys.exit(start())

import argparse
import os
from collections.abc import Callable

from diffc_stream.allocation import keep_freed_memory
from diffc_stream.console import escape_what_cannot_be_shown
from diffc_stream.errors import DiffcError, one_line
from diffc_stream.threads import wait_asleep
from diffc_stream.transport.settings import Configuration

from .cli import get, mirror, relay_packets, run, view
from .cli import list as listing
from .cli.options import EXIT_CODES

DESCRIPTION = """\
Receive pictures from a diffc-server: ever better ones, over any link that carries a few hundred
bytes a second.
"""

EXAMPLES = (
    """\
examples:
  diffc-client list ws://station:8765
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --bpp 0.2 --keep-stream coffee.dfc
  diffc-client run ws://station:8765 pictures/
  diffc-client mirror ws://station:8765 pictures/
  diffc-client view ws://station:8765
  diffc-client relay-packets udp://0.0.0.0:7000

"""
    + EXIT_CODES
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    escape_what_cannot_be_shown()
    arguments = sys.argv[1:] if arguments is None else arguments
    parser, configuration = _parser()
    try:
        if arguments and arguments[0] in configuration.settings:
            told = configuration.read(arguments[0], arguments[1:], os.environ)
            options = told.options
            if options.print_config:
                print(told.toml(), end="")
                return 0
        else:
            options = parser.parse_args(arguments)
        keep_freed_memory()
        wait_asleep()
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except DiffcError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(one_line(error), 1)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)


def _failed(message: str, code: int) -> int:
    print(f"diffc-client: {message}", file=sys.stderr)
    return code


def configuration() -> Configuration:
    """Return the settings of the commands that run until stopped, and where they can be set."""
    return _parser()[1]


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    return _parser()[0]


def _parser() -> tuple[argparse.ArgumentParser, Configuration]:
    parser = argparse.ArgumentParser(
        prog="diffc-client",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    get.add_to(commands)
    listing.add_to(commands)
    staying = {"run": run.add_to(commands), "mirror": mirror.add_to(commands)}
    view.add_to(commands)
    relay_packets.add_to(commands)
    return parser, Configuration("DIFFC_CLIENT", staying, aside=("plan",))
