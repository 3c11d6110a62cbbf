"""A picture that is being received."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Self, Unpack

from diffc_stream.session import Rectangle, Target, TargetOptions

from ..decoding.refiner import Refinement
from .demand import Demand, wished


class Delivery:
    """A picture that is being received: iterate over its refinements; see :meth:`Sender.open`."""

    def __init__(self, refinements: AsyncGenerator[Refinement, None], wanted: Demand) -> None:
        self._refinements = refinements
        self._wanted = wanted

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Refinement:
        return await anext(self._refinements)

    def update(
        self,
        *,
        weight: float = 1.0,
        **target: Unpack[TargetOptions],
    ) -> None:
        """Change the picture's target and its weight beside other pictures, from now on.

        This replaces the whole target that :meth:`Sender.open` was given.  After the last
        refinement it has no effect: open the picture again, with the same ``kept``.
        """
        self._wanted.change(Target(**target), weight)

    def sharpen(
        self, region: Rectangle | None, *, after: int = 0, **target: Unpack[TargetOptions]
    ) -> None:
        """Have a region sent before the rest: left, top, width and height in pixels.

        It starts from the bytes of the picture that are there, ``after`` so many, and what it
        brings is laid over the refinements (:attr:`Refinement.regions`) until the whole picture is
        as good.  It ends at its own ``target``, by default at 36 dB; the rest waits until then.
        Cells of 32 x 32 pixels are sent as a whole.  A region that was asked for before is stopped,
        and stays as it is; None stops it.

        Raises TargetError for what is no rectangle.  Iterating raises TargetError if it is not
        within the picture, and PeerError if there are no regions at the other end.  After the last
        refinement it has no effect: open the picture again, with the same ``kept``.
        """
        self._wanted.sharpen(wished(region, Target(**target), after))

    async def aclose(self) -> None:
        """Stop the stream."""
        await self._refinements.aclose()
