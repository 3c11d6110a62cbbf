"""How much of a picture is wanted, and with what weight."""

from __future__ import annotations

from collections.abc import Callable

from diffc_stream.session import WHOLE, Target

Tell = Callable[[Target, float], None]


class Demand:
    """A target and a weight, which may change while the picture streams, over several links."""

    def __init__(self, target: Target = WHOLE, weight: float = 1.0) -> None:
        self.target = target
        self.weight = weight
        self._tell: Tell | None = None

    def change(self, target: Target, weight: float) -> None:
        """Set another target and weight from now on."""
        self.target, self.weight = target, weight
        if self._tell is not None:
            self._tell(target, weight)

    def follow(self, tell: Tell | None) -> None:
        """Call ``tell`` with every change from now on, instead of the function given before."""
        self._tell = tell
