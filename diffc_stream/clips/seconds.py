"""The sender's choice of a second estimate: what it gains for its bytes, compared with steps.

Estimates are tried as the receiver would make them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips.group import Group
from diffc_stream.clips.search import searched
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.comparison import Comparison
from diffc_stream.codec.energy import mean_square
from diffc_stream.codec.stepper import Stepper
from diffc_stream.container import Motion, Second
from diffc_stream.container.clip import MOST_VECTORS
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.reference import ReferencePicture
from diffc_stream.diffusion.trust import Trust

Floats = NDArray[np.float32]

TURN = 2
"""Bytes of the record before, which says what picture it is about."""
SHARES = (0.4, 0.6, 0.8, 0.9, 0.97)
"""Shares of the cells that are tried as unchanged: the ones that differ least."""


def chosen(
    group: Group,
    stepper: Stepper,
    number: int,
    movements: Mapping[tuple[int, int], tuple[int, int]],
    price: float,
) -> list[Motion | Second]:
    """Return the records of the second estimate to take for a picture, none to keep what it has.

    ``movements`` says by how many pixels pictures have moved as a whole since their sources, and
    ``price`` which mean squared error, in signal units, is worth a byte.
    """
    places = [
        place
        for place, source in enumerate(group.sources[number])
        if source is not None and group.begun(source)
    ]
    motions: dict[int, Motion] = {}
    seen: dict[int, Floats] = {}
    for place in places:
        motion, seen[place] = _moved(group, stepper, number, place, movements, price)
        if motion is not None:
            motions[place] = motion
    least = error(stepper.chain, stepper)
    best: list[Motion | Second] = []
    found: tuple[list[int], list[Floats], Comparison] | None = None
    # The sources are chosen first, as if nothing had changed, and then what has.
    for used in [places, *([place] for place in places if len(places) > 1)]:
        if not used:
            continue
        mean = sum(seen[place] for place in used) / np.float32(len(used))
        told = octaves.all_of(np.asarray(mean, np.float32), len(stepper.chain.sizes))
        compared = Comparison([stepper.truth(n) for n in range(len(told))], told)
        for records, cost in _tried(stepper, used, motions, told, compared.trusts((1.0,)), price):
            if cost < least:
                best, least, found = records, cost, (used, told, compared)
    if found is None:
        return []
    used, told, compared = found
    for records, cost in _tried(stepper, used, motions, told, compared.trusts(SHARES), price):
        if cost < least:
            best, least = records, cost
    return best


def _moved(
    group: Group,
    stepper: Stepper,
    number: int,
    place: int,
    movements: Mapping[tuple[int, int], tuple[int, int]],
    price: float,
) -> tuple[Motion | None, Floats]:
    """Return the motion since a source that is worth its bytes, if any, and the source moved."""
    source = group.source(number, place)
    guess, truth = group.guess(source), stepper.truth(0)
    known = group.motions[number][place]
    seen = known.moved(guess)
    found = searched(truth, guess, known.side, movements[number, source], price)
    motion = Motion(source=place, vectors=found.encode())
    moved = found.moved(guess)
    gained = mean_square(seen - truth) - mean_square(moved - truth)
    if len(motion.vectors) <= MOST_VECTORS and gained > price * len(motion.encode()):
        return motion, moved
    return None, seen


def error(chain: Chain, stepper: Stepper) -> float:
    """Return the mean squared error of what ``chain`` knows of a picture, in signal units."""
    return mean_square(chain.guess() - stepper.truth(0))


def _tried(
    stepper: Stepper,
    used: Sequence[int],
    motions: Mapping[int, Motion],
    told: Sequence[Floats],
    trusts: Iterable[tuple[Trust, float]],
    price: float,
) -> Iterator[tuple[list[Motion | Second], float]]:
    """Yield the records of second estimates with ``trusts``, and their cost.

    That is the error that they leave, and the price of their bytes.
    """
    for trust, _ in trusts:
        second = Second(earlier=0 in used, later=1 in used, trust=trust.encode())
        records: list[Motion | Second] = [motions[place] for place in used if place in motions]
        records.append(second)
        chain = copy.copy(stepper.chain)
        chain.seconded(ReferencePicture(told, trust))
        size = TURN + sum(len(record.encode()) for record in records)
        yield records, error(chain, stepper) + price * size
