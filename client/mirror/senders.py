"""Mirrors several senders, each in a folder of its own, named HOST_PORT."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NoReturn

from structlog.contextvars import bound_contextvars

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.errors import AddressError, DiffcError
from diffc_stream.transport.backoff import Backoff

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access, TokenFile
from ..storage.shielded import shielded
from .owned_folder import OwnedFolder
from .paths import PICTURE_SUFFIX, Places
from .state import FILE
from .sync import Mirror, names_of

logger = logging.getLogger("diffc_client")

MakeMirror = Callable[[Path], Mirror]
"""Creates the mirror of a sender, given its folder."""


class Senders:
    """Mirrors the senders of some addresses below one folder.

    >>> await Senders([Address.parse("ws://station:8765")], Path("pictures"), Mirror).run()
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        folder: Path,
        make: MakeMirror,
        *,
        access: Access | TokenFile = NO_ACCESS,
        backoff: Backoff | None = None,
    ) -> None:
        """Prepare to mirror the senders or single pictures that ``addresses`` name.

        Raises AddressError for a file server without the name of a picture, because it has no
        catalogue, and for two senders that would have the same folder.
        """
        self._wanted = by_sender(addresses)
        self._folders: dict[Address, Path] = {}
        for sender in self._wanted:
            place = folder / folder_of(sender)
            if place in self._folders.values():
                raise AddressError(f"{sender} and another would both have the folder {place}")
            self._folders[sender] = place
        self._make = make
        self._access = access
        self._backoff = backoff or Backoff(patience=None)
        self._mirrors: dict[Address, Mirror] = {}

    @property
    def count(self) -> int:
        """How many senders there are."""
        return len(self._wanted)

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """The mirrors whose folders could be opened."""
        return tuple(self._mirrors.values())

    async def run(self) -> NoReturn:
        """Run until cancelled; errors of senders, links and disks are logged, and tried again."""
        async with asyncio.TaskGroup() as tasks:
            for sender in self._wanted:
                with bound_contextvars(sender=str(sender)):
                    tasks.create_task(self._follow(sender))
        raise AssertionError("mirrors do not end")

    async def _follow(self, sender: Address) -> NoReturn:
        backoff = self._backoff.fresh()
        folder = self._folders[sender]
        while True:
            try:
                await shielded(partial(take_over, folder))
                async with self._make(folder) as mirror:
                    self._mirrors[sender] = mirror
                    await mirror.run(*self._wanted[sender], access=self._access)
            except (DiffcError, OSError) as error:
                logger.warning("%s: %s", sender, error)
                await backoff.pause(error)
            except Exception as error:
                # A bug, which must not disturb other senders.
                logger.exception("mirroring %s failed", sender)
                await backoff.pause(error)
            finally:
                self._mirrors.pop(sender, None)


def by_sender(addresses: Iterable[Address]) -> dict[Address, tuple[Address, ...]]:
    """Return the addresses by sender; the address of a whole sender replaces its pictures'.

    Raises AddressError for a file server without the name of a picture.
    """
    found: dict[Address, dict[Address, None]] = {}
    for address in addresses:
        found.setdefault(address.sender, {})[address] = None
    for sender, named in found.items():
        if names_of(named) is None:
            found[sender] = {sender: None}
    return {sender: tuple(named) for sender, named in found.items()}


def folder_of(sender: Address) -> str:
    """Return the name of a sender's folder."""
    below = f"_{sender.base.replace('/', '_')}" if sender.base else ""
    return f"{sender.host.replace(':', '-')}_{sender.port}{below}"


def take_over(folder: Path) -> None:
    """Convert a folder that an earlier ``diffc-client run`` kept into a mirror's.  Raises OSError.

    There the streams of .dfc files were called ``NAME.dfc.dfc``.  If the folder has no journal, all
    its streams and pictures count as the mirror's once the sender has confirmed their content.
    """
    if not folder.is_dir() or folder.is_symlink() or (folder / FILE).exists():
        return
    places = Places(folder, linked=False)
    places.lock()
    try:
        owned = OwnedFolder(places)
        try:
            if owned.journal.fresh:
                owned.adopt_all(STREAM_SUFFIX, PICTURE_SUFFIX)
            for name in owned.journal.names():
                single = name.removesuffix(STREAM_SUFFIX)
                twice = name.endswith(STREAM_SUFFIX) and single.endswith(STREAM_SUFFIX)
                if twice and not owned.confined.exists(single):
                    owned.settle(name, single)
        finally:
            owned.close()
    finally:
        places.unlock()
