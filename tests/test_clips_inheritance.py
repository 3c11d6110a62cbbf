"""What of a picture's gain is passed on."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sources import by_scale, picture

from diffc_stream.clips.inheritance import Inheritance
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.schedule import usual
from diffc_stream.codec.stepper import Stepper
from diffc_stream.container import Clip
from diffc_stream.container.clip import sources

Picture = NDArray[np.uint8]


def inheritance(shown: list[Picture]) -> Inheritance:
    denoiser = by_scale().denoiser
    steppers = [
        Stepper(Chain(denoiser, height=64, width=64, seed=0, ratio=0.6), one, usual(shaped=True))
        for one in shown
    ]
    return Inheritance(steppers, sources(Clip(pictures=len(shown), milliseconds=40, stride=4)))


def test_what_stays_is_passed_on_wholly() -> None:
    counts = inheritance([picture(1)] * 5).at(0.1)
    # 4 has 0, 2 has both, 1 has 0 and 2, 3 has 2 and 4.
    assert counts == pytest.approx({0: 5.0, 4: 2.5, 2: 2.0, 1: 1.0, 3: 1.0})


def test_what_has_nothing_in_common_inherits_little() -> None:
    counts = inheritance([picture(seed) for seed in range(5)])
    fine, coarse = counts.at(1e-3), counts.at(1.0)
    assert all(count == pytest.approx(1, abs=0.02) for count in fine.values())
    assert coarse[0] > fine[0], "at a coarse level pictures resemble each other"


def test_movements_are_those_of_the_camera() -> None:
    wide = np.concatenate([picture(1), picture(2)], axis=1)
    moved = inheritance([np.ascontiguousarray(wide[:, 3 * n : 3 * n + 64]) for n in range(5)])
    assert moved.movements[4, 0] == (0, -12)
    assert moved.movements[1, 2] == (0, 3)
