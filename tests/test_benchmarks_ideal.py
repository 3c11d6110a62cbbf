"""Streams beside ideal chains, on sources whose information is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sources import SOURCE, independent, model, picture

from diffc_benchmarks.ideal import FINEST, IdealChain, Task, compared, encoded, schedule
from diffc_stream.codec import Schedule
from diffc_stream.picture import save_png


def walked() -> IdealChain:
    chain = IdealChain(picture(), model())
    chain.walk(show_from=500, end=8000)
    return chain


def test_small_steps_cost_the_information() -> None:
    chain = walked()
    information = SOURCE.information(chain.observation.snr)
    assert chain.observation.octave == 0
    assert 8000 <= chain.bits < 8800
    assert chain.bits / information == pytest.approx(1, abs=0.05)
    assert chain.observation.noise_variance(
        np.moveaxis(picture(), 2, 0) * np.float32(4 / 255) - np.float32(2)
    ) == pytest.approx(1, abs=0.03)


def test_bits_are_told_within_what_was_looked_at() -> None:
    chain = walked()
    first, last = chain.shown[0], chain.shown[-1]
    assert first[0] >= 500
    assert chain.bits_at(first[1] - 0.1) is None
    assert chain.bits_at(last[1] + 0.1) is None
    middle = chain.bits_at((first[1] + last[1]) / 2)
    assert middle is not None
    assert first[0] < middle < last[0]


def test_a_chain_ends_at_the_top() -> None:
    chain = IdealChain(picture(), model(), plan=Schedule(top=1.0))
    chain.walk(show_from=math.inf, end=math.inf)
    assert math.log(chain.observation.snr) == pytest.approx(1.0, abs=0.2)
    assert chain.shown == []
    assert chain.evaluations > 1


def test_schedules_are_scaled_together() -> None:
    assert schedule(Schedule().growth, Schedule()) == Schedule()
    fine = schedule(1.2, Schedule())
    assert fine.growth == 1.2
    assert fine.full_step < Schedule().full_step
    assert fine.opening == FINEST.opening


def test_reports_are_of_files() -> None:
    report = encoded(picture(), model(), 1000, Schedule())
    assert 980 <= report.bytes <= 1000
    assert report.ideal_bits < 8 * report.bytes


def test_everything_about_a_picture(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", picture())
    task = Task(
        path=tmp_path / "a.png", model=model, growths=(1.3,), rates=(1.0, 2.0), sizes=(300,)
    )
    found = compared(task)
    assert [(entry.growth, entry.rate, entry.target) for entry in found.streams] == [
        (growth, rate, target)
        for growth in (Schedule().growth, 1.3)
        for rate, target in ((None, 300), (1.0, 512), (2.0, 1024))
    ]
    ratios = [entry.ratio for entry in found.streams if entry.rate]
    assert all(ratio is not None and 1.0 < ratio < 1.6 for ratio in ratios)
    assert found.streams[0].ratio is None
    step = Schedule().full_step * 64 * 64 / 8
    assert [entry.length for entry in found.reproduction] == [round(step), round(4 * step)]
    assert (found.image, found.width, found.height) == ("a.png", 64, 64)
    assert found.ideal_evaluations > 5


def test_pictures_of_any_size(tmp_path: Path) -> None:
    odd = np.random.default_rng(0).integers(0, 256, (19, 33, 3), np.uint8)
    chain = IdealChain(odd, independent())
    chain.walk(show_from=100, end=2000)
    assert chain.bits >= 2000
    assert chain.shown[-1][1] > chain.shown[0][1]
