"""Run a bad link until the process is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .impaired_link import Link
from .signals import on_stop

EVERY = 0.5
"""Seconds between two reports of how much has been carried."""

Tell = Callable[[Link], None]
"""A function that reports something about a link."""


def carry_until_told(link: Link, *, started: Tell, moved: Tell) -> None:
    """Run ``link`` until SIGINT or SIGTERM.

    ``started`` is called when it listens, and ``moved`` twice a second after that.  At the end,
    open connections are closed.  Raises AddressError if it cannot listen.
    """
    asyncio.run(_until_told(link, started, moved))


async def carry(link: Link, stopped: asyncio.Event, *, started: Tell, moved: Tell) -> None:
    """Run ``link`` until ``stopped`` is set; see :func:`carry_until_told`."""
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
