"""What a broker has of a sender's pictures, and which of their streams start from which others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diffc_stream.container.reference import MOST_BACK
from diffc_stream.transport.mqtt_topics import Beginning, Item


class Holdings(dict[str, Item]):
    """The items of a broker, by the names of their pictures."""

    def decodes(self, name: str) -> bool:
        """Tell whether a picture is here, and all that its stream goes back to."""
        back = list(self._back(name))
        return bool(back) and back[-1].start is None

    def holds(self, start: Beginning) -> bool:
        """Tell whether a newcomer could decode a stream that starts from ``start``."""
        item = self.get(start.name)
        return item is not None and item.beginning == start and self.decodes(start.name)

    def begins(self, name: str) -> bool:
        """Tell whether another stream may start from that of a picture, as far as it is known."""
        item = self.get(name)
        return item is not None and item.beginning is not None and self.decodes(name)

    def is_key(self, name: str) -> bool:
        """Tell whether a picture is here whose stream starts from no other."""
        item = self.get(name)
        return item is not None and item.start is None

    def needed(self, names: Iterable[str]) -> set[str]:
        """Return those of ``names`` that are here, and all that they go back to."""
        found: set[str] = set()
        for name in names:
            for item in self._back(name):
                if item.name in found:
                    break
                found.add(item.name)
        return found

    def _back(self, name: str) -> Iterator[Item]:
        """Yield the item of a picture, and those it goes back to, as far as they fit each other.

        A broker may say anything, so it ends after MOST_BACK others.
        """
        item = self.get(name)
        for _ in range(MOST_BACK + 1):
            if item is None:
                return
            yield item
            start = item.start
            if start is None:
                return
            item = self.get(start.name)
            if item is not None and item.beginning != start:
                return
