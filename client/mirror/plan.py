"""What a mirror would receive, in which order, and when its budget allows it; receives nothing.

It asks the sender for its catalogue, and looks at what is in the folder.  Lengths of streams that
the sender still has to encode are not known: they are taken to be as long as the others are on
average.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from diffc_stream.budget import moment
from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.ledger import Ledger
from diffc_stream.order import Order
from diffc_stream.session import Entry, Reason, Target

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..remote.links import dial
from .goal import PORTION
from .paths import size_of
from .scheduler import TransferScheduler, end_of, round_of
from .state import FILE, MOST_BYTES, Record, Records
from .sync import names_of

USUAL = 30_000
"""Bytes of a stream if nothing is known of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A picture that would be received."""

    name: str
    held: int
    """Bytes of it that are here."""
    left: int
    """Bytes to come."""
    estimated: bool
    """Whether that is an estimate."""
    begins: float | None
    """When the budget allows its first bytes, in seconds since 1970; None is in years."""
    ends: float | None
    """When it allows the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be received, in the order of first bytes."""

    pictures: tuple[Planned, ...]
    complete: int
    """Pictures of which nothing more is wanted."""
    room: int | None
    """Bytes that the budget allows now; None is any number."""
    opens: float
    """When it next allows any, in seconds since 1970."""
    now: float
    budget: str

    def lines(self, *, as_json: bool) -> Iterator[str]:
        """Yield lines of text, or one of JSON."""
        if as_json:
            yield json.dumps(asdict(self))
            return
        if self.pictures:
            yield f"{'first bytes':>16}  {'all':>16}  {'to come':>12}  {'here':>11}  name"
        for one in self.pictures:
            about = "~" if one.estimated else " "
            begins, ends = self._moment(one.begins), self._moment(one.ends)
            yield f"{begins:>16}  {ends:>16}  {about}{one.left:>11,}  {one.held:>11,}  {one.name}"
        left = sum(one.left for one in self.pictures)
        about = "about " if any(one.estimated for one in self.pictures) else ""
        yield (
            f"{len(self.pictures):,} pictures, {about}{left:,} bytes to come; {self.complete:,} "
            f"are complete"
        )
        if self.room is not None:
            opens = f", the next at {self._moment(self.opens)}" if self.opens > self.now else ""
            yield f"budget: {self.budget}; {self.room:,} bytes now{opens}"
        elif self.budget != "no limits":
            yield f"budget: {self.budget}; open now"

    def _moment(self, seconds: float | None) -> str:
        if seconds is None:
            return "in years"
        if seconds <= self.now:
            return "now"
        return moment(seconds)


async def plan(
    addresses: Iterable[Address],
    folder: Path,
    *,
    target: Target,
    order: Order,
    ledger: Ledger,
    access: Access = NO_ACCESS,
    clock: Callable[[], float] = time.time,
) -> Plan:
    """Return what a mirror of one sender's ``addresses`` in ``folder`` would receive.

    Raises AddressError, SessionError, SafetyError.
    """
    addresses = tuple(addresses)
    names = names_of(addresses)
    if names is not None:
        entries = [Entry(name=name, size=0, time=0, thumbprint="") for name in sorted(names)]
    else:
        entries = await _catalogue(addresses[0].sender, access)
    saved = await asyncio.to_thread(_saved, folder, target)
    records = await asyncio.to_thread(lambda: [_record(entry, folder, saved) for entry in entries])
    published = addresses[0].mqtt
    return planned(records, target, order, ledger, clock(), published=published)


def planned(
    records: Iterable[Record],
    target: Target,
    order: Order,
    ledger: Ledger,
    now: float,
    *,
    published: bool = False,
) -> Plan:
    """Return what would be received of ``records``; ``published`` says that sizes are streams'."""
    records = tuple(records)
    lengths = {one.entry.name: _length(one, target, published=published) for one in records}
    known = [length for length in lengths.values() if length is not None]
    usual = sum(known) // len(known) if known else min(USUAL, target.bytes or USUAL)
    wanted = {
        one.entry.name: one
        for one in records
        if one.ended is None and (lengths[one.entry.name] or max(usual, one.held + 1)) > one.held
    }
    ends = {name: lengths[name] or max(usual, one.held + 1) for name, one in wanted.items()}
    portions = list(_portions(wanted, ends, order))
    sizes = [size for _, size in portions]
    times = ledger.budget.reaches(ledger.spending, sizes, now)
    first: dict[str, float | None] = {}
    last: dict[str, float | None] = {}
    for (name, _), at in zip(portions, times, strict=True):
        first.setdefault(name, at)
        last[name] = at
    return Plan(
        pictures=tuple(
            Planned(
                name=name,
                held=wanted[name].held,
                left=ends[name] - wanted[name].held,
                estimated=lengths[name] is None,
                begins=begins,
                ends=last[name],
            )
            for name, begins in first.items()
        ),
        complete=len(records) - len(wanted),
        room=ledger.budget.room(ledger.spending, now),
        opens=ledger.budget.opens(ledger.spending, now),
        now=now,
        budget=str(ledger.budget),
    )


def _portions(
    wanted: dict[str, Record], ends: dict[str, int], order: Order
) -> Iterator[tuple[str, int]]:
    """Yield names and bytes in the order in which a mirror asks for them."""
    queue = TransferScheduler(order)
    held = {name: one.held for name, one in wanted.items()}
    for name, one in wanted.items():
        queue.put(name, held=one.held, time=one.entry.time)
    while (following := queue.take()) is not None:
        here, end = held[following], ends[following]
        bound = min(end, here + PORTION if order.newest else end_of(round_of(here)))
        yield following, bound - here
        held[following] = bound
        if bound < end:
            queue.put(following, held=bound, time=wanted[following].entry.time)


def _length(record: Record, target: Target, *, published: bool) -> int | None:
    """Return where a stream will end; None if that is not known."""
    if record.ended is not None:
        return record.length
    return record.expected(target, published=published)


def _record(entry: Entry, folder: Path, saved: dict[str, Record]) -> Record:
    """Return what is here of a picture."""
    before = saved.get(entry.name)
    same = before is not None and entry.thumbprint in ("", before.entry.thumbprint)
    name = (
        entry.name if entry.name.lower().endswith(STREAM_SUFFIX) else f"{entry.name}{STREAM_SUFFIX}"
    )
    held = size_of(folder / name) if before is None or same else 0
    if before is not None and same and before.ended and held == before.length:
        return Record(entry=entry, ended=before.ended, length=held, held=held)
    if before is not None and same and before.refused:
        return Record(entry=entry, ended=Reason.STOPPED, refused=True)
    return Record(entry=entry, held=held)


def _saved(folder: Path, target: Target) -> dict[str, Record]:
    """Return the mirror's notes, as far as they can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            return Records.parsed(file.read(MOST_BYTES), target).images
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


async def _catalogue(sender: Address, access: Access) -> list[Entry]:
    link = await dial(sender, access=access)
    try:
        return await link.catalogue()
    finally:
        await link.close()
