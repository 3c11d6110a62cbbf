"""The sender's plan: always forwards, octave by octave, to the top."""

from dataclasses import replace
from itertools import pairwise
from math import exp, log

import pytest

from diffc_stream.codec import Schedule
from diffc_stream.codec.schedule import step_length
from diffc_stream.container import Kind
from diffc_stream.diffusion.observation import Observation


def walk(schedule: Schedule, octave: int, missing: float = 0.0) -> list[tuple[Kind, float, int]]:
    """Follow the plan exactly; return (kind, snr after, octave after) of every step."""
    observation = Observation.nothing((4, 4), octave)
    steps = []
    while (planned := schedule.next(observation, missing)) is not None:
        kind, gained = planned
        if kind is Kind.OPEN:
            assert gained == pytest.approx(observation.snr / 4)
            observation = replace(observation, snr=gained, octave=observation.octave - 1)
        else:
            assert gained > 0
            observation = replace(observation, snr=observation.snr + gained)
        steps.append((kind, observation.snr, observation.octave))
        assert len(steps) < 200
    return steps


@pytest.mark.parametrize("octave", [0, 1, 5])
def test_it_opens_every_octave_once_and_ends_at_the_top(octave: int) -> None:
    steps = walk(Schedule(), octave)
    assert sum(kind is Kind.OPEN for kind, *_ in steps) == octave
    assert log(steps[-1][1]) == pytest.approx(6.5, abs=0.05)
    assert steps[-1][2] == 0


def test_octaves_open_at_the_threshold() -> None:
    steps = walk(Schedule(opening=1.0), 3)
    before = [snr for (_, snr, _), (kind, *_) in pairwise(steps) if kind is Kind.OPEN]
    assert before == pytest.approx([exp(1.0)] * 3, rel=0.04)


def test_rich_detail_opens_octaves_earlier_but_not_too_early() -> None:
    schedule = Schedule(detail=0.05, earliest=-1.0, opening=1.0)
    for missing, expected in ((0.0, exp(1)), (0.01, exp(1)), (0.15, 4 / 3), (9.0, exp(-1))):
        steps = walk(schedule, 1, missing)
        before = next(a for (_, a, _), (kind, *_) in pairwise(steps) if kind is Kind.OPEN)
        assert before == pytest.approx(expected, rel=0.04)


def test_faster_growth_takes_fewer_steps() -> None:
    assert len(walk(Schedule(growth=2.0), 0)) < len(walk(Schedule(growth=1.3), 0))


def test_short_refinements_are_stretched_within_reason() -> None:
    schedule = Schedule(shortest=12, full_step=0.08)
    coarse = Observation.nothing((16, 16), 1)
    assert schedule.stretched(coarse, 3) == 12
    assert schedule.stretched(coarse, 40) == 40
    fine = Observation.nothing((100, 100), 0)
    assert schedule.stretched(fine, 50) == 100
    assert schedule.stretched(fine, 20) == 60
    assert schedule.stretched(fine, 500) == 500


def test_lengths_follow_the_energy_within_bounds() -> None:
    assert step_length(0.0, 1000) == 1
    assert step_length(1e9, 1000) == 1000 // 16
    lengths = [step_length(energy, 100_000) for energy in (0.001, 0.01, 0.1, 0.5)]
    assert lengths == sorted(lengths)
    # 100,000 values at energy 0.1: D/2 log2(1.1) = 6,875 bits, and the code's excess.
    assert lengths[2] == pytest.approx(6_875 * 1.053 / 8, rel=0.01)
