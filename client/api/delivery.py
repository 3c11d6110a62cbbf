"""A picture on its way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Self, Unpack

from diffc_stream.session import Target, TargetOptions

from ..decoding.refiner import Refinement
from .demand import Demand


class Delivery:
    """A picture on its way: iterate to get it, better every time; see :meth:`Sender.open`."""

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
        """Change how far the picture goes and how much it counts beside others, from now on.

        All of what :meth:`Sender.open` was given is replaced.  Nothing comes of it once the
        last refinement has been seen: open the picture again, with what was kept of it.
        """
        self._wanted.change(Target(**target), weight)

    async def aclose(self) -> None:
        """Stop the stream."""
        await self._refinements.aclose()
