"""Finds what streams start from: the pictures that their headers name.

A stream of version 4 names the first bytes of another, which starts from a third, and so on.  The
others have their names beside it.  Here is how far names are trusted, where the bytes are looked
for, and that they are those that are meant before any decoder sees them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from diffc_stream.container import Header, Reference
from diffc_stream.container.grammar import MOST_HEADER, STREAM_SUFFIX
from diffc_stream.container.reference import MOST_BACK
from diffc_stream.errors import MissingReference, PeerError, StreamError
from diffc_stream.session import MAX_STREAM, Code

from ..decoding.header import header_of
from ..remote.address import Address
from .cache import Cached, Store
from .partial_stream import MemoryStream

MOST_BYTES = MAX_STREAM
"""Bytes of all of them together, as of the longest stream."""
MOST_RECENT = 2**22
"""Bytes of the beginnings of streams that are remembered."""
BEGINNING = 2**20
"""Most bytes of one of them."""

logger = logging.getLogger("diffc_client")

Receive = Callable[[str, "Cached | MemoryStream", int], Awaitable[object]]
"""Receives a picture's stream into what is kept of it, as far as so many bytes."""


def name_beside(image: str, reference: Reference, *, files: bool = False) -> str:
    """Return the sender's name for what the stream of ``image`` starts from.

    It is in the same folder.  With ``files`` all names are those of streams, with .dfc, otherwise
    those of pictures, unless ``image`` is a stream's.  Raises MissingReference if the name that the
    stream says is none of a stream beside it.
    """
    name = reference.name
    folder, slash, own = image.rpartition("/")
    stem = name[: -len(STREAM_SUFFIX)]
    if (
        not name.lower().endswith(STREAM_SUFFIX)
        or not name.isprintable()
        or "/" in name
        or "\\" in name
        or stem.startswith(".")
        or not stem
    ):
        why = (
            "its name is not that of a stream beside this one; if it is a picture file there, "
            "fetch both files, and use diffc decode"
        )
        raise MissingReference(reference.told, why)
    if files or own.lower().endswith(STREAM_SUFFIX):
        stem = name
    return f"{folder}{slash}{stem}"


class Beginnings:
    """The beginnings of a sender's streams that others start from: held here, or received."""

    def __init__(
        self, receive: Receive, *, address: Callable[[str], Address], cache: Path | None = None
    ) -> None:
        """Receive by ``receive`` what is not held.

        They are kept in the folder ``cache``, if given, by the ``address`` of each picture.
        """
        self._receive = receive
        self._address = address
        self._cache = cache
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def note(self, image: str, data: bytes) -> None:
        """Remember the beginning of a stream, of which others may start."""
        self._bytes += len(data) - len(self._recent.pop(image, b""))
        self._recent[image] = data
        while self._bytes > MOST_RECENT:
            _, dropped = self._recent.popitem(last=False)
            self._bytes -= len(dropped)

    async def of(self, image: str, header: Header) -> list[bytes]:
        """Return all that the stream of ``image`` starts from, one from another.

        Raises MissingReference, or SessionError if the link fails meanwhile.
        """
        found: list[bytes] = []
        reference, left = header.reference, MOST_BYTES
        while reference is not None:
            left -= reference.size
            if len(found) == MOST_BACK or left < 0:
                most = f"more than {MOST_BACK} pictures or {MOST_BYTES:,} bytes come before it"
                raise MissingReference(reference.told, most)
            image = name_beside(image, reference, files=self._address("").plain)
            data = await self._fetch(image, reference)
            found.append(data)
            self.note(image, data)
            begun = header_of(data[:MOST_HEADER])
            if begun is None:
                raise MissingReference(reference.told, f"{image} is no stream")
            reference = begun.reference
        return found

    async def _fetch(self, image: str, reference: Reference) -> bytes:
        """Return the bytes that a reference names.  Raises MissingReference or SessionError."""
        size, recent = reference.size, self._recent.get(image, b"")
        if await asyncio.to_thread(reference.matches, recent):
            return recent[:size]
        async with self._opened(image) as kept:
            for _ in range(2):  # what is held may be of another stream
                data = await asyncio.to_thread(kept.read)
                try:
                    if len(data) < size:
                        await self._receive(image, kept, size)
                        data = await asyncio.to_thread(kept.read)
                except PeerError as error:
                    if error.code != Code.PREFIX_MISMATCH or not data:
                        raise MissingReference(reference.told, f"{image}: {error}") from error
                else:
                    if await asyncio.to_thread(reference.matches, data):
                        return data[:size]
                await asyncio.to_thread(kept.restart)
        raise MissingReference(reference.told, f"{image} begins otherwise, or has been replaced")

    @contextlib.asynccontextmanager
    async def _opened(self, image: str) -> AsyncIterator[Cached | MemoryStream]:
        kept = await asyncio.to_thread(self._cached, image)
        try:
            yield kept or MemoryStream()
        finally:
            if kept is not None:
                await asyncio.to_thread(kept.close)

    def _cached(self, image: str) -> Cached | None:
        """Return what the cache has of a stream; None if it cannot be used."""
        if self._cache is None:
            return None
        try:
            return Cached(Store(self._cache).open(replace(self._address(image), query="")))
        except (OSError, StreamError):
            return None  # the cache is a convenience
