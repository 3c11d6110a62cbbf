"""``diffc-client run``: stays up, and keeps what its senders have."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.session import Terms
from diffc_stream.transport.logging import add_logging
from diffc_stream.transport.settings import add_configuration
from diffc_stream.transport.signals import stay

from ..remote.address import Address
from ..remote.credentials import check_one_host
from .options import access, add_command, add_every, add_limits, add_receiving, start_log
from .progress import summary

if TYPE_CHECKING:
    from ..decoding.refiner import Refinement

DESCRIPTION = """\
Stay up and keep what senders have: every picture as DIR/HOST_PORT/NAME.png, rewritten as it gets
better, and its stream as NAME.dfc, which is continued after a break of the link or a restart.
"""

EXAMPLES = """\
examples:
  diffc-client run ws://station:8765 pictures/
      everything that the sender has, asked for again every minute
  diffc-client run ws://station:8765/coffee.jpg ws://ship:8765 pictures/
      one picture here, everything there
  diffc-client run --config station.toml
      as the table [run] in there says: urls = ["ws://station:8765"], folder = "pictures"

An option --some-thing can also stand in the environment, as DIFFC_CLIENT_SOME_THING; flags count
most, then that, then the file, and --no-some-thing takes one back.
Ends at SIGINT or SIGTERM, with exit code 0.
"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the command and return its parser."""
    run = add_command(
        commands,
        "run",
        _run,
        help="stay up and keep what senders have",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    run.add_argument(
        "urls",
        metavar="URL",
        nargs="+",
        help="ws://HOST:PORT or one with /IMAGE, or http://HOST/IMAGE.dfc",
    )
    run.add_argument("folder", metavar="DIR", type=Path, help="where pictures and streams go")
    add_every(run, "how often catalogues are asked for")
    add_limits(run)
    add_receiving(run)
    add_configuration(run)
    add_logging(run)
    return run


def _run(options: argparse.Namespace) -> int:
    from ..decoding.decoders import ModelDecoders
    from ..mirror.follower import ReceiverDaemon
    from ..mirror.paths import Place

    start_log(options)
    logger = logging.getLogger("diffc_client")

    def log(_name: str, place: Place, refinement: Refinement) -> None:
        text = summary(refinement, options.render)
        note = ", complete" if refinement.complete else ""
        logger.info("%s: %s%s", place.picture, text, note)

    addresses, entry = [Address.parse(url) for url in options.urls], access(options)
    check_one_host(entry, addresses)
    daemon = ReceiverDaemon(
        addresses,
        options.folder,
        ModelDecoders.load(options.model, max_pixels=options.max_pixels),
        render=options.render,
        every=options.every,
        terms=Terms(window=options.window),
        on_picture=log,
        access=entry,
        most_bytes=options.most,
        most_pictures=options.most_pictures,
    )

    stay(daemon.run())
