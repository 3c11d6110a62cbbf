"""Pagination: how a long catalogue is cut into messages."""

from __future__ import annotations

from collections.abc import Sequence

from diffc_stream.session.coding import encode
from diffc_stream.session.messages import ENTRIES_PER_PAGE, MAX_MESSAGE, Catalogue, Entry

_BESIDE = 48
"""Most bytes that an entry takes in addition to its name."""
_ROOM = MAX_MESSAGE - 256
"""Bytes of a message that its entries may take together."""


class Page:
    """A CATALOGUE for many receivers: encoded once, when it is first sent."""

    __slots__ = ("_data", "message")

    def __init__(self, message: Catalogue) -> None:
        self.message = message
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        """The message's bytes.  Raises LocalProtocolError if a field does not fit."""
        if self._data is None:
            self._data = encode(self.message)
        return self._data


def starts(items: Sequence[Entry | str]) -> list[int]:
    """Return the indices at which pages of entries, or of names of removed pictures, begin."""
    found = [0]
    taken = 0
    for place, item in enumerate(items):
        name = item if isinstance(item, str) else item.name
        size = len(name.encode()) + _BESIDE
        if place - found[-1] == ENTRIES_PER_PAGE or taken + size > _ROOM:
            found.append(place)
            taken = 0
        taken += size
    return found
