"""Somebody who follows a catalogue."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from diffc_server import Catalogue
from diffc_stream.session import Catalogue as Message
from diffc_stream.session import encode
from diffc_stream.session.paging import Page


def put(path: Path, contents: bytes | None = None, *, age: float = 0.0) -> None:
    """Write a file that was changed so many seconds ago, as 2001 has it, or now."""
    path.write_bytes(path.name.encode() if contents is None else contents)
    if age:
        os.utime(path, (1_000_000_000 - age, 1_000_000_000 - age))


class Follower:
    """Somebody who takes pages, and knows what he knows from them."""

    def __init__(self, pages: AsyncIterator[tuple[Page, ...]]) -> None:
        self._pages = pages
        self.known: dict[str, str] = {}
        self.mark: str | None = None
        self.taken: tuple[Message, ...] = ()

    async def next(self) -> tuple[Message, ...]:
        """Take pages up to one that is the last."""
        self.taken = ()
        async with asyncio.timeout(100):
            while not (self.taken and self.taken[-1].last):
                self.taken += tuple(page.message for page in await anext(self._pages))
        assert [page.last for page in self.taken] == [False] * (len(self.taken) - 1) + [True]
        if not self.taken[0].changes:
            self.known.clear()
        for page in self.taken:
            assert encode(page)
            self.known.update((entry.name, entry.thumbprint) for entry in page.images)
            for name in page.removed:
                del self.known[name]
            self.mark = page.mark or self.mark
        return self.taken


@asynccontextmanager
async def following(
    catalogue: Catalogue, mark: str | None = None, before: Follower | None = None
) -> AsyncIterator[Follower]:
    async with aclosing(catalogue.changes.pages(before.mark if before else mark)) as pages:
        follower = Follower(pages)
        follower.known = dict(before.known) if before else {}
        yield follower
    assert catalogue.changes._watching is None or catalogue.changes._followers
