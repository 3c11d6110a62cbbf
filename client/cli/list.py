"""``diffc-client list``: lists the pictures of a sender, or of a published folder."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from diffc_stream.session import Entry

from ..remote.address import Address
from .options import access, add_access


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    listing = commands.add_parser(
        "list",
        help="show what a sender has",
        description="Show what a sender has: bytes of each file, when it was changed (UTC), its "
        "thumbprint (which changes with the picture), and the name to ask for.",
    )
    listing.set_defaults(command=_list)
    listing.add_argument(
        "url",
        metavar="URL",
        help="ws://HOST:PORT, http://HOST/PATH/ of a published folder, or mqtt://HOST/PREFIX",
    )
    listing.add_argument("--json", action="store_true", help="a JSON object per picture")
    add_access(listing)


def _list(options: argparse.Namespace) -> int:
    from ..remote.links import dial

    address = Address.parse(options.url).alone

    async def entries() -> tuple[list[Entry], int]:
        link = await dial(address, access=access(options))
        try:
            return await link.catalogue(), link.left_out
        finally:
            await link.close()

    listed, left_out = asyncio.run(entries())
    for entry in listed:
        if options.json:
            print(json.dumps(asdict(entry)))
        else:
            print(line(entry))
    if left_out:
        older = f"{left_out:,} older pictures are left out, and can be asked for by name"
        print(f"diffc-client: {older}", file=sys.stderr)
    return 0


def line(entry: Entry) -> str:
    """Return one line of text: size, time (UTC), thumbprint and name."""
    return f"{entry.size:>12,}  {moment(entry.time):19}  {entry.thumbprint}  {entry.name}"


def moment(seconds: int) -> str:
    """Format a time in seconds since 1970 as UTC; beyond the year 9999 as the bare number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # which of them depends on the system
        return f"@{seconds}"
