"""``diffc-client run``: the earlier name of ``mirror --by-sender --png``."""

from __future__ import annotations

import argparse
from pathlib import Path

from diffc_stream.transport.logging import add_logging
from diffc_stream.transport.settings import add_configuration

from .mirror import mirrored
from .options import add_command, add_every, add_limits, add_receiving

DESCRIPTION = """\
The earlier name of diffc-client mirror --by-sender --png, for scripts and files that use it.  It
keeps every picture of the senders as DIR/HOST_PORT/NAME.png, rewritten as it improves, and its
stream as NAME.dfc, until it is stopped.  diffc-client mirror has more options.
"""

EXAMPLES = """\
examples:
  diffc-client run ws://station:8765/coffee.jpg ws://ship:8765 pictures/
      the same as: diffc-client mirror --by-sender --png ws://station:8765/coffee.jpg ...

An option --some-thing can also stand in a file and in the environment, as with diffc-client mirror.
Ends at SIGINT or SIGTERM, with exit code 0.
"""

AS_MIRROR = dict.fromkeys(
    (
        *("listen", "tokens", "tls_cert", "tls_key", "metrics", "bytes", "bpp", "psnr", "side"),
        *("bytes_per_hour", "bytes_per_day", "bytes_per_month"),
    )
) | {
    "by_sender": True,
    "png": True,
    "delete": False,
    "json": False,
    "plan": False,
    "order": "rounds",
    "first": [],
    "between": [],
}
"""Values of the options that only ``mirror`` has."""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the command and return its parser."""
    run = add_command(
        commands,
        "run",
        _run,
        help="mirror --by-sender --png, by its earlier name",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    run.add_argument("urls", metavar="URL", nargs="+", help="as for mirror")
    run.add_argument("folder", metavar="DIR", type=Path, help="where pictures and streams go")
    add_every(run, "how often to ask a sender that does not send changes")
    add_limits(run)
    add_receiving(run)
    add_configuration(run)
    add_logging(run)
    run.set_defaults(**AS_MIRROR)
    return run


def _run(options: argparse.Namespace) -> int:
    options.url = options.urls
    return mirrored(options, note="run is mirror --by-sender --png, by its earlier name")
