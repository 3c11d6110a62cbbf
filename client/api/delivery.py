"""A picture that is being received."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Self, Unpack

from diffc_stream.session import Target, TargetOptions

from ..decoding.refiner import Refinement
from .demand import Demand


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

    async def aclose(self) -> None:
        """Stop the stream."""
        await self._refinements.aclose()
