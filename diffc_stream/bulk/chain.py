"""The streams of a camera's pictures since the last key picture: what the next starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.codec.extent import EXTENT, Extent
from diffc_stream.container.reference import digest
from diffc_stream.references import Pictures, among, held

if TYPE_CHECKING:
    from diffc_stream.codec import Held
    from diffc_stream.diffusion.model import Model


class Chain:
    """Streams that start from one another, the first of them from none."""

    def __init__(self, model: Model) -> None:
        """Begin one of streams by ``model``."""
        self._model = model
        self._name = ""
        self._beginnings: list[bytes] = []
        self._pictures = Pictures()

    @property
    def key(self) -> str:
        """Differs whenever the next stream may start from something else; "" for a key picture."""
        if not self._beginnings:
            return ""
        last = self._beginnings[-1]
        return f" after {len(last)} {digest(last).hex()} {self._name!r} {EXTENT}"

    def clear(self) -> None:
        """Begin anew: the next is a key picture."""
        self._beginnings.clear()

    def add(self, name: str, stream: bytes) -> None:
        """Take a whole stream, which the next one finds by ``name`` beside it.

        Raises StreamError.
        """
        if not self._model.shaped:
            return
        extent = Extent()
        extent.look(stream, complete=True)
        self._name = name
        self._beginnings.append(stream[: extent.size])

    def start(self) -> Held | None:
        """Return what the next stream starts from; None if it is a key picture.

        Raises StreamError or MissingReference.
        """
        if not self._beginnings:
            return None
        return held(
            self._beginnings[-1],
            [self._model],
            name=self._name,
            find=among(self._beginnings),
            pictures=self._pictures,
        )
