"""The catalogue of a published folder: pages of JSON, and one small file that names them.

A page's name contains its hash, so that caches may keep it for ever.  Where a page ends depends on
the names in it alone: so a new picture changes one page and not all that follow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

ROOT = "catalogue.json"
"""The path of the file that names the pages."""
PAGES = "-/catalogue/"
"""The folder of the pages."""
STREAMS = "streams/"
"""The folder of the streams."""
VERSION = 1
MOST_ON_PAGE = 1000
"""Pictures of a page, at most ..."""
USUAL = 256
"""... and on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A picture of the catalogue."""

    name: str
    """Its path in the folder that was published, with forward slashes."""
    stream: str
    """The path of its stream in the published folder."""
    bytes: int
    """Of the stream."""
    sha256: str
    """Of the stream, in hex."""
    width: int
    height: int
    model: str
    """Fingerprint of the model that decodes it."""
    time: int
    """When the picture was changed, in seconds since 1970."""
    thumbnail: str
    """The path of a small picture, WebP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    path: str
    data: bytes
    pictures: int
    first: str
    """The name of its first picture."""


def pages(pictures: Sequence[Published]) -> Iterator[Page]:
    """Yield the pages of a catalogue, whose pictures are sorted by name."""
    for part in _parts(pictures):
        data = _json({"version": VERSION, "pictures": [asdict(picture) for picture in part]})
        name = f"{PAGES}{hashlib.sha256(data).hexdigest()[:16]}.json"
        yield Page(path=name, data=data, pictures=len(part), first=part[0].name)


def root(pictures: Iterable[Published], parts: Iterable[Page]) -> bytes:
    """Return the file that names the pages."""
    pictures = list(pictures)
    return _json(
        {
            "version": VERSION,
            "pictures": len(pictures),
            "bytes": sum(picture.bytes for picture in pictures),
            "pages": [
                {"path": page.path, "pictures": page.pictures, "first": page.first}
                for page in parts
            ],
        }
    )


def _parts(pictures: Sequence[Published]) -> Iterator[list[Published]]:
    part: list[Published] = []
    for picture in pictures:
        part.append(picture)
        drawn = int.from_bytes(hashlib.sha256(picture.name.encode()).digest()[:4], "big")
        if drawn % USUAL == 0 or len(part) == MOST_ON_PAGE:
            yield part
            part = []
    if part:
        yield part


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
