"""Counts the pictures and bytes that a mirror has received, and estimates those still to come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from diffc_stream.session import Target

from .state import Record, Records
from .transfers import Transfers

COUNT_EVERY = 10.0
"""Seconds between two counts, while streams are received."""

logger = logging.getLogger("diffc_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The result of a count."""

    pictures: int = 0
    """Pictures of the sender, as far as they are known."""
    whole: int = 0
    """Pictures that are complete or have reached the target."""
    refused: int = 0
    """Pictures that the sender cannot read."""
    held: int = 0
    """Bytes of streams that have been received."""
    left: int | None = 0
    """Bytes still to come, estimated; None before the first picture is complete."""

    @property
    def missing(self) -> int:
        """Pictures that are not complete yet."""
        return self.pictures - self.whole - self.refused

    @classmethod
    def of(cls, records: Iterable[Record], target: Target) -> Tally:
        """Count ``records``.

        The length of a .dfc file of the sender is in the catalogue.  That of an encoded picture is
        known only once it is complete; until then it counts with the average of the complete ones.
        """
        lengths: list[int] = []
        coming: list[tuple[int, int | None]] = []
        refused = 0
        for record in records:
            if record.ended is not None:
                lengths.append(record.length)
            elif record.refused:
                refused += 1
            else:
                coming.append((record.held, record.expected(target)))
        usual = sum(lengths) // len(lengths) if lengths else None
        expected = [usual if length is None else length for _, length in coming]
        left = [
            max(0, length - held)
            for (held, _), length in zip(coming, expected, strict=True)
            if length is not None
        ]
        return cls(
            pictures=len(lengths) + len(coming) + refused,
            whole=len(lengths),
            refused=refused,
            held=sum(lengths) + sum(held for held, _ in coming),
            left=sum(left) if None not in expected else None,
        )

    def __str__(self) -> str:
        refused = f", {self.refused:,} refused" if self.refused else ""
        left = "an unknown number" if self.left is None else f"about {self.left:,}"
        return (
            f"{self.whole:,} of {self.pictures:,} pictures{refused}; "
            f"{self.held:,} bytes here, {left} to come"
        )


class Counting:
    """Counts at intervals, and logs the progress."""

    def __init__(self, records: Records, target: Target, *, every: float) -> None:
        """Count ``records``, each wanted up to ``target``; log at most every ``every`` seconds."""
        self.records = records
        self.tally = Tally()
        """The last count."""
        self._target = target
        self._every = every

    async def count(self) -> Tally:
        """Count on a thread, and return the result."""
        records = tuple(self.records.images.values())
        self.tally = await asyncio.to_thread(Tally.of, records, self._target)
        return self.tally

    async def keep_told(self, folder: Path, transfers: Transfers) -> NoReturn:
        """Log the progress of ``folder`` as long as there is any, until cancelled."""
        clock = asyncio.get_running_loop().time
        told, then = await self.count(), clock()
        while True:
            await asyncio.sleep(min(COUNT_EVERY, self._every))
            if transfers.running or self.tally.missing or self.tally.pictures != self.pictures:
                await self.count()
            now = clock()
            if now - then < self._every:
                continue
            if self.tally != told:
                rate = max(0, self.tally.held - told.held) / (now - then)
                logger.info("%s: %s, at %.0f bytes a second", folder, self.tally, rate)
            told, then = self.tally, now

    @property
    def pictures(self) -> int:
        """How many pictures of the sender are known."""
        return len(self.records.images)
