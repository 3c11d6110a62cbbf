"""How much of a picture is wanted, with what weight, and which part of it first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from diffc_stream.errors import TargetError
from diffc_stream.session import WHOLE, Rectangle, Target

Tell = Callable[[Target, float], None]
COARSE = Target(bpp=0.02)
"""How much of a whole picture comes before a region if only that is to be good."""
GOOD = Target(psnr=36.0)
"""How good a region becomes unless something else is said: then the rest goes on."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A region that is wanted before the rest."""

    rectangle: Rectangle
    """Left, top, width and height in pixels."""
    target: Target = GOOD
    """How far its own stream is wanted."""
    after: int = 0
    """Bytes of the whole picture that come first."""

    def __post_init__(self) -> None:
        """Raise TargetError if it is no part of any picture."""
        left, top, width, height = self.rectangle
        if min(left, top) < 0 or min(width, height) < 1:
            said = ",".join(map(str, self.rectangle))
            raise TargetError(f"the region {said} is not LEFT,TOP,WIDTH,HEIGHT in pixels")


class Demand:
    """A target and a weight, which may change while the picture streams, over several links."""

    def __init__(self, target: Target = WHOLE, weight: float = 1.0) -> None:
        self.target = target
        self.weight = weight
        self.wish: Wish | None = None
        """The region that is wanted before the rest; None if there is none."""
        self._held: int | None = None
        self._released = asyncio.Event()
        self._tell: Tell | None = None
        self._tell_wish: Callable[[], None] | None = None

    @property
    def now(self) -> Target:
        """The target for the moment: no more of the picture than is held, while a region comes."""
        if self._held is None:
            return self.target
        most = self._held if self.target.bytes is None else min(self._held, self.target.bytes)
        return replace(self.target, bytes=most)

    def change(self, target: Target, weight: float) -> None:
        """Set another target and weight from now on."""
        self.target, self.weight = target, weight
        self._say()

    def hold(self, length: int | None) -> None:
        """Want no more than so many bytes of the picture for now; None wants all again."""
        if length == self._held:
            return
        self._held = length
        if length is None:
            self._released.set()
        else:
            self._released.clear()
        self._say()

    async def released(self, length: int) -> bool:
        """Wait until more is wanted than ``length`` bytes, if it is only held there for now.

        Returns whether it was.
        """
        if self._held is None or length < self._held:
            return False
        await self._released.wait()
        return True

    def follow(self, tell: Tell | None) -> None:
        """Call ``tell`` with every change from now on, instead of the function given before."""
        self._tell = tell

    def sharpen(self, wish: Wish | None) -> None:
        """Set the region that is wanted first from now on."""
        self.wish = wish
        if self._tell_wish is not None:
            self._tell_wish()

    def follow_wish(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` whenever there is another region, or none."""
        self._tell_wish = tell

    def _say(self) -> None:
        if self._tell is not None:
            self._tell(self.now, self.weight)


def wished(region: Rectangle | None, target: Target, after: int) -> Wish | None:
    """Return the wish for a region, by default until it is GOOD.  Raises TargetError."""
    if region is None:
        return None
    return Wish(region, GOOD if target == WHOLE else target, after)
