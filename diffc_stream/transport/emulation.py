"""A bad link that stays up until the process is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .impaired_link import Link
from .signals import on_stop

EVERY = 0.5
"""Seconds between two looks at how much has been carried."""

Tell = Callable[[Link], None]
"""Says something of a link to whoever looks on."""


def carry_until_told(link: Link, *, started: Tell, moved: Tell) -> None:
    """Carry what comes over ``link`` until SIGINT or SIGTERM.

    ``started`` is called when it listens, and ``moved`` twice a second after that.  Connections
    that are open in the end are closed.  Raises AddressError if it cannot listen.
    """
    asyncio.run(_until_told(link, started, moved))


async def carry(link: Link, stopped: asyncio.Event, *, started: Tell, moved: Tell) -> None:
    """Do so until ``stopped`` is set."""
    async with link:
        started(link)
        while not stopped.is_set():
            try:
                async with asyncio.timeout(EVERY):
                    await stopped.wait()
            except TimeoutError:
                moved(link)


async def _until_told(link: Link, started: Tell, moved: Tell) -> None:
    stopped = asyncio.Event()
    on_stop(stopped.set)
    await carry(link, stopped, started=started, moved=moved)
