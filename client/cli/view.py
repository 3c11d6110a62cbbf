"""``diffc-client view``: shows a sender's pictures in a browser as they arrive."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import webbrowser

from diffc_stream.flags import integer, number
from diffc_stream.transport.signals import on_stop

from ..remote.address import Address
from .options import access, add_access, add_command, add_decoding

DESCRIPTION = """\
Look at a sender's pictures in a browser as they arrive.  This machine serves the page, at the
address that is printed, so that only the pictures cross the link.
"""

EXAMPLES = """\
examples:
  diffc-client view ws://station:8765
      all that the sender has
  diffc-client view ws://station:8765/coffee.jpg
      one picture
  diffc-client view ws://localhost:8765 --rate 2000
      as over a link of 2,000 bytes a second

Ends at SIGINT or SIGTERM, with exit code 0.
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    view = add_command(
        commands,
        "view",
        _view,
        help="look at a sender's pictures in a browser",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    view.add_argument("url", metavar="URL", help="ws://HOST:PORT or one with /IMAGE")
    view.add_argument(
        "--port",
        type=integer(0, 65_535),
        default=0,
        help="port of this machine to serve the page on; 0 is any free one (%(default)s)",
    )
    view.add_argument(
        "--rate",
        metavar="BYTES",
        type=number(1e9),
        help="limit the link to so many bytes a second",
    )
    view.add_argument(
        "--compare",
        action="store_true",
        help="offer the sender's AVIF and JPEG of the same bytes, if it makes them; they cross the "
        "link too, and --rate does not slow them",
    )
    view.add_argument(
        "--no-browser", dest="browser", action="store_false", help="do not open a browser"
    )
    view.add_argument("--json", action="store_true", help="print the address as a JSON object")
    add_decoding(view)
    add_access(view)


def _view(options: argparse.Namespace) -> int:
    from diffc_stream.diffusion.collection import Collection
    from diffc_viewer import Assets, Site

    from ..web.app import View

    view = View(
        Address.parse(options.url),
        Site(Assets(Collection.at_hand(options.model).files)),
        port=options.port,
        rate=options.rate,
        compare=options.compare,
        max_pixels=options.max_pixels,
        access=access(options),
    )

    async def until_told() -> None:
        stopped = asyncio.Event()
        on_stop(stopped.set)
        async with view:
            facts = {"url": view.url, "sender": options.url}
            print(json.dumps(facts) if options.json else f"look at {view.url}", flush=True)
            if options.browser:
                # On a thread, because with some browsers open() returns only when they are closed.
                threading.Thread(target=webbrowser.open, args=(view.url,), daemon=True).start()
            await stopped.wait()

    asyncio.run(until_told())
    return 0
