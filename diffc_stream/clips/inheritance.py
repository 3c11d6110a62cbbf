"""How much of what a picture of a clip gains is passed on to those that start from it.

A byte spent on a picture that others start from also makes them better, the more the less has
changed between them.  With the error of all pictures at E, and differences of energy d between a
picture and its (moved) source, about E / (E + d) of what the source gains arrives, for each cell.
So the error that a picture may have is that of a picture without heirs, divided by the sum of all
these shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips.search import between
from diffc_stream.codec.stepper import Stepper
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.trust import cell_octave

Floats = NDArray[np.float32]


class Inheritance:
    """The shares, for every error, and the movements between each picture and its sources."""

    def __init__(
        self,
        steppers: Sequence[Stepper],
        sources: Mapping[int, tuple[int | None, int | None]],
    ) -> None:
        """Compare all pictures with their ``sources``."""
        self._sources = sources
        self.movements: dict[tuple[int, int], tuple[int, int]] = {}
        """By how many pixels a picture has moved as a whole since a source, down and right."""
        self._differences: dict[tuple[int, int], Floats] = {}
        for number, both in sources.items():
            for source in both:
                if source is not None:
                    self._compare(steppers, number, source)

    def _compare(self, steppers: Sequence[Stepper], number: int, source: int) -> None:
        sizes = steppers[number].chain.sizes
        here, there = (
            [steppers[which].truth(octave) for octave in range(len(sizes))]
            for which in (number, source)
        )
        self.movements[number, source], left = between(here, there)
        differences = np.square(left).mean(axis=0)[None]
        for _ in range(cell_octave(sizes)):
            differences = octaves.means(differences)
        self._differences[number, source] = differences

    def at(self, error: float) -> dict[int, float]:
        """Return for each picture by how much more a gain counts than without heirs, from 1."""
        counts = dict.fromkeys(self._sources, 1.0)
        for number in reversed(list(self._sources)):
            used = [source for source in self._sources[number] if source is not None]
            for source in used:
                share = float(np.mean(error / (error + self._differences[number, source])))
                counts[source] += share * counts[number] / len(used)
        return counts
