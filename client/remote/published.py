"""The catalogue of a published folder (``diffc publish``): what is in its files.

``catalogue.json`` names pages, in order of name, and each page describes pictures.  Everything is
checked, because it comes from a web server.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffc_stream.errors import RemoteProtocolError
from diffc_stream.publishing.catalogue import ROOT, VERSION
from diffc_stream.session import Entry
from diffc_stream.session.fields import Name
from diffc_stream.session.messages import MAX_NAME

MOST_BYTES = 2**22
"""Largest file of a catalogue."""
MOST_PICTURES = 100_000
"""Pictures that are listed, at most; others can still be asked for by name."""

_NAME = Name(MAX_NAME)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_THUMBPRINT = 16
_LATEST = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a catalogue, before it has been fetched."""

    path: str
    """Where it is, below the folder."""
    pictures: int
    first: str
    """The name of its first picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A picture, and where its stream is."""

    entry: Entry
    """Its ``size`` is that of the stream."""
    stream: str
    """The path of its stream, below the folder."""


def pages(data: bytes) -> list[Page]:
    """Return the pages that ``catalogue.json`` names.  Raises RemoteProtocolError."""
    try:
        return [
            Page(
                path=_path(page["path"]),
                pictures=_number(page["pictures"]),
                first=str(page["first"]),
            )
            for page in _parsed(data)["pages"]
        ]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"{ROOT} is no catalogue of this version") from error


def pictures(data: bytes) -> list[Published]:
    """Return the pictures of a page.  Raises RemoteProtocolError."""
    try:
        return [_picture(picture) for picture in _parsed(data)["pictures"]]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError("a page of the catalogue is not of this version") from error


def page_of(found: Sequence[Page], name: str) -> Page | None:
    """Return the only page that may describe the picture ``name``; None if there is none."""
    place = bisect_right(found, name, key=lambda page: page.first)
    return found[place - 1] if place else None


def _parsed(data: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(data)
    if value["version"] != VERSION:
        raise ValueError("another version")
    return value


def _picture(facts: dict[str, object]) -> Published:
    sha256 = facts["sha256"]
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError("no hash")
    return Published(
        entry=Entry(
            name=_NAME.parse(facts["name"]),
            size=_number(facts["bytes"]),
            time=_number(facts["time"]),
            thumbprint=sha256[:_THUMBPRINT],
        ),
        stream=_path(facts["stream"]),
    )


def _path(value: object) -> str:
    path = _NAME.parse(value)
    if ".." in path.split("/"):
        raise ValueError("a path that leads out of the folder")
    return path


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= _LATEST:
        raise ValueError("not a number")
    return value
