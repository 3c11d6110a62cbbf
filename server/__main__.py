"""The command ``diffc-server``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Before any slow import, so that Ctrl-C is handled during those too: see start.py.
    from .start import main as start

    sys.exit(start())

import argparse
import asyncio
import json
import os

from diffc_stream.allocation import keep_freed_memory
from diffc_stream.console import escape_what_cannot_be_shown
from diffc_stream.errors import ConfigurationError, DiffcError, one_line
from diffc_stream.threads import wait_asleep
from diffc_stream.transport.logging import start_logging
from diffc_stream.transport.signals import leave_at_once

from .auth.options import new_token, read
from .cli import Settings, argument_parser, configuration

__all__ = ["configuration", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    escape_what_cannot_be_shown()
    try:
        told = configuration().read("", arguments, os.environ)
    except ConfigurationError as error:
        return _failed(str(error), error.exit_code)
    options = told.options
    if options.print_config:
        print(told.toml(), end="")
        return 0
    if options.new_token is not None:
        return _add_token(options)
    if options.folder is None:
        argument_parser().error("the following arguments are required: DIR")
    if not (options.listen or options.dial or options.mqtt):
        return _failed("--no-listen needs --dial URL or --mqtt URL", 2)
    keep_freed_memory()
    wait_asleep()
    start_logging(options.log_level, options.log_format)
    # Imported late, because it brings the codec, which --help does not need.
    from .app import run

    try:
        asyncio.run(run(Settings.read(options), read(options)))
    except DiffcError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(one_line(error), 1)
    except KeyboardInterrupt:
        pass
    return leave_at_once()


def _add_token(options: argparse.Namespace) -> int:
    try:
        token = new_token(options)
    except DiffcError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(one_line(error), 1)
    print(json.dumps({"name": options.new_token, "token": token}) if options.json else token)
    return 0


def _failed(message: str, code: int) -> int:
    print(f"diffc-server: {message}", file=sys.stderr)
    return code
