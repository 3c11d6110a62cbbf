"""What a mirror remembers from run to run: the sender's catalogue, and what is here whole.

It spares questions, and nothing more: without it every stream is asked for where its file ends.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from dataclasses import dataclass, field

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session import Catalogue, Entry, Reason, Target, decode, encode

from .content import Content
from .owned_folder import Holdings, Proof

FILE = ".mirror.json"
FORMAT = 1
MOST_BYTES = 2**26
"""Of the file; more is not read."""

logger = logging.getLogger("diffc_client")


@dataclass(slots=True, kw_only=True)
class Record:
    """What is known of one picture."""

    entry: Entry
    ended: Reason | None = None
    """Why no more of its stream is wanted; None: more is."""
    length: int = 0
    """Bytes that its file had then."""
    refused: bool = False
    """The sender cannot read it, as it is: it is not asked for before it is another."""
    held: int = 0
    """Bytes that are here, as far as is known, while more is wanted."""


@dataclass(slots=True, kw_only=True)
class Records:
    """What is known of a sender."""

    mark: str | None = None
    """Of the last page of its catalogue."""
    images: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def load(cls, holdings: Holdings, target: Target) -> Records:
        """Return what was saved; what cannot be read is nothing, and said.

        What was ended by another ``target`` may go on now.
        """
        path = holdings.folder / FILE
        try:
            proof = holdings.prove(FILE)
            if proof is Proof.ABSENT:
                return cls()
            if holdings.size(FILE) > MOST_BYTES:
                raise ValueError("it is too large")
            if proof is not Proof.OURS and not holdings.journal.fresh:
                raise ValueError("it is not as it was written here")
            data = holdings.read(FILE, MOST_BYTES)
            records = cls._parsed(data, target)
            if proof is not Proof.OURS:  # an earlier version's
                holdings.journal.note(FILE, Content.of(data))
            return records
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.warning("%s is of no use: %s", path, " ".join(str(error).split()))
            return cls()

    @classmethod
    def _parsed(cls, data: bytes, target: Target) -> Records:
        """Raises ValueError, TypeError, KeyError or RecursionError."""
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
        return cls(mark=_page((), read["mark"]).mark, images=images)

    def save(self, holdings: Holdings, target: Target, *, mark: str | None) -> None:
        """Replace what was saved.  Raises Occupied or another OSError."""
        # One by one: the event loop stands still while something is made text.
        records = tuple(self.images.values())
        images = ", ".join(map(_text, records))
        facts = {
            "format": FORMAT,
            "mark": mark,
            "target": dataclasses.asdict(target),
            "refused": {one.entry.name: one.entry.thumbprint for one in records if one.refused},
        }
        text = f'{json.dumps(facts)[:-1]}, "images": [{images}]}}'
        holdings.replace(FILE, text.encode(), durable=True)


def _text(record: Record) -> str:
    ended = record.ended and record.ended.value
    return json.dumps((dataclasses.asdict(record.entry), ended, record.length))


def _record(plain: object, ended: object, length: object) -> Record:
    """Raises ValueError or TypeError."""
    if not isinstance(plain, dict) or not isinstance(length, int):
        raise ValueError("a record that is none")
    [entry] = _page((Entry(**plain),), None).images
    return Record(entry=entry, ended=Reason(ended) if ended else None, length=length)


def _page(images: tuple[Entry, ...], mark: str | None) -> Catalogue:
    """Return what a sender may say, having been checked like that.  Raises ValueError."""
    try:
        page = decode(encode(Catalogue(images=images, last=True, mark=mark)))
    except (LocalProtocolError, RemoteProtocolError) as error:
        raise ValueError(str(error)) from error
    assert isinstance(page, Catalogue)
    return page
