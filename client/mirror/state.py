"""What a mirror saves between runs: the sender's catalogue, and which pictures are complete.

It only saves requests: without it, the mirror asks for every stream from the end of its file.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from dataclasses import dataclass, field

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session import MAX_STREAM, Catalogue, Entry, Reason, Target, decode, encode

from .content import Content
from .owned_folder import OwnedFolder, Proof

FILE = ".mirror.json"
FORMAT = 1
MOST_STARTS = 200_000
"""Most streams of which it is noted what they start from."""
MOST_BYTES = 2**26
"""Largest file that is read."""

logger = logging.getLogger("diffc_client")


@dataclass(slots=True, kw_only=True)
class Record:
    """The state of one picture."""

    entry: Entry
    ended: Reason | None = None
    """Why its stream has ended; None while more of it is wanted."""
    length: int = 0
    """Bytes of its file at that time."""
    refused: bool = False
    """The sender cannot read it: it is not asked for again until it has changed."""
    held: int = 0
    """Bytes received so far, about, while more is wanted."""
    aside: bool = False
    """It was not asked for: only what others start from is wanted."""

    def expected(self, target: Target, *, published: bool = False) -> int | None:
        """Return the length of the stream at ``target``, if it is known or limited; else None.

        ``published``: the sender is a folder of streams, whatever their names.
        """
        ready = published or self.entry.name.lower().endswith(STREAM_SUFFIX)
        # A picture known by its name only has the size 0; no stream is longer than MAX_STREAM.
        known = (min(self.entry.size, MAX_STREAM) or None) if ready else None
        return min((length for length in (known, target.bytes) if length is not None), default=None)


@dataclass(slots=True, kw_only=True)
class Records:
    """The state of all pictures of a sender."""

    mark: str | None = None
    """The mark of the last page of its catalogue, from which the next connection goes on."""
    images: dict[str, Record] = field(default_factory=dict)
    starts: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For pictures whose streams start from another: which one, and how many bytes of it."""

    @property
    def missing(self) -> int:
        """Pictures of which more is wanted."""
        return sum(record.ended is None and not record.refused for record in self.images.values())

    @classmethod
    def load(cls, owned: OwnedFolder, target: Target) -> Records:
        """Return the saved state; if it cannot be read, log that and return an empty one.

        A stream that ended at another ``target`` may go on now.
        """
        path = owned.folder / FILE
        try:
            proof = owned.prove(FILE)
            if proof is Proof.ABSENT:
                return cls()
            if owned.size(FILE) > MOST_BYTES:
                raise ValueError("it is too large")
            if proof is not Proof.OURS and not owned.journal.fresh:
                raise ValueError("another program has changed it")
            data = owned.read(FILE, MOST_BYTES)
            records = cls.parsed(data, target)
            if proof is not Proof.OURS:  # written by an earlier version of this program
                owned.journal.note(FILE, Content.of(data))
            return records
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.warning("%s cannot be used: %s", path, " ".join(str(error).split()))
            return cls()

    @classmethod
    def parsed(cls, data: bytes, target: Target) -> Records:
        """Parse a saved state.  Raises ValueError, TypeError, KeyError or RecursionError."""
        read = json.loads(data)
        if read["format"] != FORMAT:
            raise ValueError(f"it is of format {read['format']!r}")
        same = read["target"] == dataclasses.asdict(target)
        images = {}
        for plain, ended, length in read["images"]:
            record = _record(plain, ended, length)
            if record.ended is Reason.TARGET and not same:
                record.ended = None
            images[record.entry.name] = record
        for name, thumbprint in dict(read.get("refused", {})).items():
            if name in images and images[name].entry.thumbprint == thumbprint:
                images[name].refused = True
        starts = {}
        for name, (start, size) in dict(read.get("starts", {})).items():
            if not isinstance(start, str) or not 0 < size <= MAX_STREAM:
                raise ValueError("a start that is none")
            starts[name] = start, size
        return cls(mark=_page((), read["mark"]).mark, images=images, starts=starts)

    def save(self, owned: OwnedFolder, target: Target, *, mark: str | None) -> None:
        """Save the state.  Raises Occupied or another OSError."""
        # One by one: each call of json.dumps holds the GIL, and so stops the event loop.
        records = tuple(self.images.values())
        images = ", ".join(map(_text, records))
        facts = {
            "format": FORMAT,
            "mark": mark,
            "target": dataclasses.asdict(target),
            "refused": {one.entry.name: one.entry.thumbprint for one in records if one.refused},
        }
        found = tuple(self.starts.items())
        starts = ", ".join(f"{json.dumps(of)}: {json.dumps(to)}" for of, to in found)
        text = f'{json.dumps(facts)[:-1]}, "images": [{images}], "starts": {{{starts}}}}}'
        owned.replace(FILE, text.encode(), durable=True)


def _text(record: Record) -> str:
    ended = record.ended and record.ended.value
    return json.dumps((dataclasses.asdict(record.entry), ended, record.length))


def _record(plain: object, ended: object, length: object) -> Record:
    """Return a record from its JSON values.  Raises ValueError or TypeError."""
    if not isinstance(plain, dict) or not isinstance(length, int):
        raise ValueError("a record that is none")
    [entry] = _page((Entry(**plain),), None).images
    return Record(entry=entry, ended=Reason(ended) if ended else None, length=length)


def _page(images: tuple[Entry, ...], mark: str | None) -> Catalogue:
    """Return a page with the checks of one from a sender.  Raises ValueError."""
    try:
        page = decode(encode(Catalogue(images=images, last=True, mark=mark)))
    except (LocalProtocolError, RemoteProtocolError) as error:
        raise ValueError(str(error)) from error
    assert isinstance(page, Catalogue)
    return page
