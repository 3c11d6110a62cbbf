"""Deletes the pictures that the sender has removed, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from .owned_folder import OwnedFolder
from .paths import Place
from .transfers import Transfers

logger = logging.getLogger("diffc_client")


class Removal:
    """The pictures that are about to be deleted; new ones in their places have to wait."""

    def __init__(self, owned: OwnedFolder, transfers: Transfers) -> None:
        """Tell ``transfers`` which places are free again."""
        self._owned = owned
        self._transfers = transfers
        self._removing: dict[str, tuple[str, Place]] = {}
        """The pictures to delete, by their streams' files."""
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether any picture is left to delete."""
        return bool(self._removing)

    def has(self, place: Place) -> bool:
        """Tell whether the picture at a place is to be deleted."""
        return self._owned.relative(place.stream) in self._removing

    def add(self, name: str, place: Place) -> None:
        """Delete a picture once those before it are deleted."""
        self._removing[self._owned.relative(place.stream)] = (name, place)
        if self._task is None:
            self._task = asyncio.create_task(self._remove_all())

    async def wait(self) -> None:
        """Wait until all are deleted."""
        if self._task is not None:
            await self._task

    async def _remove_all(self) -> None:
        while self._removing:
            relative, (name, place) = next(iter(self._removing.items()))
            try:
                kept, gone = await asyncio.to_thread(self._owned.clear, place)
            except OSError as error:
                self._transfers.complain("files", f"{name} cannot be deleted: {error}")
            else:
                for path in kept:
                    text = f"{path} is kept: it was not written here, or was changed since"
                    self._transfers.complain("files that are not ours", text)
                if gone:
                    logger.info("%s: %s deleted", self._owned.folder, name)
                    self._transfers.make_room()
            del self._removing[relative]
            with contextlib.suppress(OSError):
                owner = self._owned.places.owner(name)
                if owner is not None:
                    self._transfers.wait(owner)
        self._task = None
