"""``diffc-client relay-packets``: shows a broadcast in browsers, as it comes in."""

from __future__ import annotations

import argparse
import asyncio
import json

from diffc_stream.flags import endpoint, identity, integer
from diffc_stream.transport.signals import on_stop

from .options import add_command, add_decoding

DESCRIPTION = """\
Show a broadcast in browsers: take packets of which some are lost, as `diffc send-packets' sends
them, and hand them to the pages that are open.  This machine serves the page, at the address that
is printed.  Who opens it late gets what has been gathered so far.  Everybody who can reach the
address may look: nothing in a broadcast is secret.
"""

EXAMPLES = """\
examples:
  diffc-client relay-packets udp://0.0.0.0:7000
      what is sent to this machine or to all on this network, for a browser here
  diffc-client relay-packets udp://239.1.2.3:7000 --listen 0.0.0.0:8080
      for all browsers on this network
  diffc-client relay-packets - < /dev/ttyUSB0
      what a modem hears, each packet behind its length

Ends at SIGINT or SIGTERM, with exit code 0; the pages stay when the packets end.
"""

MOST_PAGES = 1024


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    relay = add_command(
        commands,
        "relay-packets",
        _relay,
        help="show a broadcast in browsers",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    relay.add_argument(
        "source",
        metavar="FROM",
        help="udp://HOST:PORT to receive at (0.0.0.0 for all addresses, or a group), a folder, or "
        "- for standard input",
    )
    relay.add_argument(
        "--listen",
        type=endpoint,
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="serve the page here; port 0 is any free one (%(default)s)",
    )
    relay.add_argument(
        "--wanted", type=identity, metavar="HEX", help="only this stream, as send-packets said"
    )
    relay.add_argument(
        "--pages",
        type=integer(1, MOST_PAGES),
        default=32,
        metavar="N",
        help="open at once, at most (%(default)s)",
    )
    relay.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="another site, https://HOST, whose pages may get packets (may be repeated)",
    )
    add_decoding(relay)
    relay.add_argument("--json", action="store_true", help="print the address as a JSON object")


def _relay(options: argparse.Namespace) -> int:
    from diffc_stream.diffusion.collection import Collection
    from diffc_viewer import Assets, Site

    from ..web.packets import PacketRelay

    async def until_told() -> None:
        stopped = asyncio.Event()
        on_stop(stopped.set)
        relay = PacketRelay(
            options.source,
            Site(Assets(Collection.at_hand(options.model).files)),
            host=options.listen.host,
            port=options.listen.port,
            wanted=options.wanted,
            most=options.pages,
            max_pixels=options.max_pixels,
            origins=options.origin,
        )
        async with relay:
            facts = {"url": relay.url, "from": options.source}
            print(json.dumps(facts) if options.json else f"look at {relay.url}", flush=True)
            ending = asyncio.create_task(relay.ended.wait())
            stopping = asyncio.create_task(stopped.wait())
            await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
            if relay.failure is None:
                await stopping
            for task in (ending, stopping):
                task.cancel()
        if relay.failure is not None:
            raise relay.failure

    asyncio.run(until_told())
    return 0
