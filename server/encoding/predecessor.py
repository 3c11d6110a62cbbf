"""What a stream starts from: the beginning of another.

That of a camera's picture starts from the picture before, and that of a part from the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from diffc_stream.codec.extent import STEP, USUAL, Extent, Rule
from diffc_stream.container import Header, Reference
from diffc_stream.container.grammar import MOST_HEADER, STREAM_SUFFIX
from diffc_stream.errors import RequestRefused

from ..catalogue.file import File
from ..threads.pools import WorkerPools
from .source import Opener, ReferringOpener
from .subscribers import Account, Wake


class Stream(Protocol):
    """A stream that grows as it is wanted."""

    model: str | None
    """Fingerprint of its model."""
    complete: bool
    """Whether all of it is there."""

    def __len__(self) -> int: ...

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, as far as they are there."""
        ...

    def join(self, wake: Wake, account: Account | None = None) -> None:
        """Have it stay, and charge ``account``, until leave()."""
        ...

    def leave(self, wake: Wake) -> None:
        """Undo one join()."""
        ...

    async def reach(
        self, length: int, account: Account | None = None, *, claimed: bool = False
    ) -> None:
        """Wait until ``length`` bytes or the whole stream are there.  Raises RequestRefused."""
        ...


Of = Callable[[File, tuple[File, ...]], Stream]
"""Returns the stream of a picture, which goes back to others."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The picture that one starts from, and those that it goes back to itself."""

    chain: tuple[File, ...]
    """From the key picture to the one that it starts from."""
    of: Of
    opener: ReferringOpener
    workers: WorkerPools
    rule: Rule = USUAL
    """How much of a stream another starts from."""
    size: int | None = None
    """How many bytes of that one's stream; None is as many as its quality takes."""

    async def opener_for(self, after: Stream, account: Account, *, claimed: bool) -> Opener:
        """Return what opens the picture of the stream ``after``, some of which may be there.

        Waits for the beginning of the stream before, encoded at the expense of ``account``; for
        ``claimed`` see :meth:`SharedStream.want`.  Raises RequestRefused if that may be there
        later; if there is never any, the picture is opened by itself.
        """
        begun = Header.at(after.read(0, MOST_HEADER))
        if begun is not None and begun.reference is None:
            return self.opener
        if not await self.workers.read(self.opener.refers, after.model):
            return self.opener
        said = None if begun is None else begun.reference
        try:
            files = await self._files(said, account, claimed=claimed)
        except RequestRefused as error:
            if error.retry or said is not None:
                raise
            return self.opener
        return self.opener.starting(f"{self.chain[-1].path.name}{STREAM_SUFFIX}", files)

    async def _files(
        self, said: Reference | None, account: Account, *, claimed: bool
    ) -> list[bytes]:
        """Return the beginning of the stream before, and of those before that as far as needed."""
        files: list[bytes] = []
        for place in reversed(range(len(self.chain))):
            stream = self.of(self.chain[place], self.chain[:place])
            with joined(stream, account):  # it goes on from one look to the next
                size = said.size if said is not None else self.size
                if size is None:
                    size = await self._extent(stream, account, claimed=claimed)
                else:
                    await stream.reach(size, account, claimed=claimed)
                files.append(stream.read(0, size))
            begun = Header.at(files[-1])
            if begun is None or begun.reference is None or self.opener.has_picture(files[-1]):
                break
            said = begun.reference
        return files

    async def _extent(self, stream: Stream, account: Account, *, claimed: bool) -> int:
        """Wait for as much of a stream as another starts from, and return how much that is."""
        extent = Extent(self.rule)
        while extent.size is None:
            await stream.reach(extent.looked + STEP, account, claimed=claimed)
            complete = stream.complete
            data = stream.read(extent.looked, len(stream))
            await asyncio.to_thread(extent.look, data, complete=complete)
        return extent.size


@contextmanager
def joined(stream: Stream, account: Account | None) -> Iterator[None]:
    """Have a stream stay in this block: one that nobody uses is dropped when memory is short."""

    def wake() -> None:
        pass  # who waits is woken otherwise

    stream.join(wake, account)
    try:
        yield
    finally:
        stream.leave(wake)
