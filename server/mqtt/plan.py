"""What a publisher does next: which picture the broker lacks, and what its stream starts from."""

from __future__ import annotations

from heapq import nlargest

from diffc_stream.session import Entry

from ..catalogue.file import File
from .holdings import Holdings
from .streams import Stream, Streams, name_of

MOST_BEHIND = 8
"""If the broker lacks more than so many pictures before the newest, that is published first, as a
key picture, which takes about the bytes of so many others."""


class Plan:
    """What there is to publish, and what the broker has of it."""

    def __init__(self, streams: Streams, most: int) -> None:
        """Publish the newest ``most`` pictures."""
        self._streams = streams
        self._most = most
        self.entries: dict[str, Entry] = {}
        """The sender's pictures, as far as the catalogue has told."""
        self.there = Holdings()
        """What the broker has."""
        self.refused: dict[str, str] = {}
        """Pictures that cannot be read, by what they are made of."""

    def wanted(self) -> dict[str, Entry]:
        """Return the entries of the pictures to publish, the newest first."""
        most, entries = self._most, self.entries.values()
        newest = nlargest(most, entries, key=lambda entry: (entry.time, entry.name))
        return {entry.name: entry for entry in newest}

    def surplus(self) -> set[str]:
        """Return what the broker should not have: nothing wanted goes back to it."""
        return self.there.keys() - self.there.needed(self.wanted())

    async def next(self) -> Entry | None:
        """Return the newest picture that the broker lacks, or the first that it goes back to."""
        wanted = self.wanted()
        newest = next((entry for entry in wanted.values() if self._lacks(entry)), None)
        if newest is None:
            return None
        names = [name_of(file, newest.name) for file in await self._before(newest.name)]
        missing = [name for name in names if name in wanted and self._lacks(wanted[name])]
        at_once = newest.name == next(iter(wanted)) and len(missing) > MOST_BEHIND
        return newest if at_once or not missing else wanted[missing[0]]

    async def read(self, name: str) -> Stream:
        """Return a stream that receivers can decode with what is there.  Raises RequestRefused."""
        before = await self._before(name)
        if not before or not self.there.begins(name_of(before[-1], name)):
            return await self._streams.read(name)
        stream = await self._streams.read(name, before)
        if stream.start is None or self.there.holds(stream.start):
            return stream
        return await self._streams.read(name)

    def _lacks(self, entry: Entry) -> bool:
        """Tell whether a picture is to be published: it is not there, or cannot be decoded."""
        source, item = self._streams.source(entry), self.there.get(entry.name)
        there = item is not None and item.source == source and self.there.decodes(entry.name)
        return not there and self.refused.get(entry.name) != source

    async def _before(self, name: str) -> tuple[File, ...]:
        """Return what a picture goes back to: no further than to a key picture that is there.

        So the pictures after one that had to be published as a key picture start from it.
        """
        before = await self._streams.before(name)
        for place in reversed(range(len(before))):
            known = name_of(before[place], name)
            entry = self.entries.get(known)
            if entry is not None and not self._lacks(entry) and self.there.is_key(known):
                return before[place:]
        return before
