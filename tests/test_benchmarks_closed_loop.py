"""Chains in the exact world: what an ideal one costs, and what is seen of others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from diffc_benchmarks.closed_loop import (
    CONTENDERS,
    DITHER,
    IDEAL,
    PUBLISHED,
    TRELLIS,
    Cell,
    Chained,
    Contender,
    Curve,
    State,
    Task,
    bound,
    chained,
    curve,
    operations,
    slices_walked,
    tasks,
    walked,
)
from diffc_stream.channel import viterbi
from diffc_stream.channel.pfr import PoissonFunctionalRepresentation
from diffc_stream.channel.simulator import Address, Floats, Sample, Simulation
from diffc_stream.channel.trellis import Trellis
from diffc_stream.errors import SimulationError

CELL = Cell(bits=200, dims=2048, steps=8, seeds=2)


def test_an_ideal_chain_is_on_its_own_curve() -> None:
    found = chained(CELL, 0, IDEAL)
    assert found.bits == pytest.approx(CELL.bits * CELL.steps, rel=1e-4)
    assert found.bits / found.ideal_bits == pytest.approx(1, abs=0.1)
    assert found.bits / curve(CELL, 0).bits_at(found.error) == pytest.approx(1, abs=0.08)
    assert found.noise.variance == pytest.approx(1, abs=0.1)
    assert found.noise.kurtosis == pytest.approx(3, abs=0.4)
    assert abs(found.noise.neighbours) < 0.1
    assert np.std(found.noise.along_error) == pytest.approx(1, abs=0.6)


def test_the_curve_is_a_curve() -> None:
    made_up = Curve(cell=CELL, seed=0, bits=[100, 200, 400, 800], errors=[0.8, 0.4, 0.2, 0.1])
    assert made_up.bits_at(0.3) == pytest.approx(80 / 0.3)


def test_the_trellis_needs_a_little_more_and_leaves_nothing_along_the_error() -> None:
    found = chained(Cell(bits=600, dims=4096, steps=2, seeds=1), 0, TRELLIS)
    assert found.bits == 1200
    assert 1.02 < found.bits / found.ideal_bits < 1.12
    assert found.noise.variance == pytest.approx(1, abs=0.1)
    assert np.abs(found.noise.along_error).max() < 1e-3
    assert found.encoder_seconds > 0 < found.decoder_seconds


def test_exact_simulators_take_what_they_need() -> None:
    pytest.importorskip("constriction")
    steep = Cell(bits=3000, dims=1024, steps=2, seeds=1)
    found = chained(steep, 0, DITHER)
    assert 1.05 < found.bits / found.ideal_bits < 1.2
    small = Contender("pfr", PoissonFunctionalRepresentation(chunk_bits=4, candidates=2**8))
    found = chained(Cell(bits=40, dims=256, steps=2, seeds=1), 0, small)
    assert found.bits > 60
    assert found.contender == "pfr"


def test_a_step_has_the_information_planned() -> None:
    state = State(CELL, 0)
    shift, wanted = state.shift(200)
    energy = float(np.mean(shift**2))
    assert CELL.dims / 2 * math.log2(1 + energy) == pytest.approx(200, rel=1e-4)
    state.advance(shift, wanted)  # a sample without noise
    assert state.noise(()).variance == pytest.approx(0, abs=1e-9)
    assert state.error() < 0.99 * State(CELL, 0).error()


def test_the_bound_of_the_paper() -> None:
    assert bound(31) == 31 + 5 + 5
    assert bound(1023) == 1023 + 10 + 5


def test_steps_that_the_trellis_does_not_admit_are_left_out() -> None:
    dense = Cell(bits=2000, dims=1024, steps=1, seeds=3)
    found = tasks([CELL, dense], CONTENDERS)
    assert not any(task.contender is TRELLIS and task.cell == dense for task in found)
    assert sum(task.contender is TRELLIS for task in found) == CELL.seeds
    assert sum(task.contender is None for task in found) == CELL.seeds + dense.seeds
    assert sum(task.contender is PUBLISHED for task in found) == 2 * PUBLISHED.seeds


def test_what_a_simulator_refuses_is_said() -> None:
    class Refuses(Trellis):
        def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
            if len(shift) == CELL.dims:
                raise SimulationError("too large")
            return Simulation(b"", Sample(shift, len(shift), 0.0), 1.0)

    said = walked(Task(CELL, 0, Contender("stubborn", Refuses())))
    assert said == "stubborn, steps of 200 bits: too large"
    assert isinstance(walked(Task(CELL, 0, None)), Curve)
    assert isinstance(walked(Task(CELL, 0, IDEAL)), Chained)


@pytest.mark.parametrize("bits", [24, 304, 520, 3000])
def test_slices_are_counted_as_the_search_walks_them(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0
    make = viterbi._walker

    class Counting:
        def __init__(self, walker: viterbi.Walker) -> None:
            self.trace = walker.trace
            self._walk = walker.walk

        def walk(self, firsts: Any, count: int, metrics: Floats) -> Any:
            nonlocal counted
            counted += len(firsts) * count
            return self._walk(firsts, count, metrics)

    monkeypatch.setattr(viterbi, "_walker", lambda *given: Counting(make(*given)))
    shift = np.random.default_rng(0).standard_normal(bits, np.float32)
    Trellis().simulate(shift, bits // 8, Address(0, 0))
    assert slices_walked(bits) - 2 * bits <= counted <= slices_walked(bits)


def test_work_is_of_the_search_alone() -> None:
    assert operations(PUBLISHED, CELL) == 2**16
    assert operations(IDEAL, CELL) == operations(DITHER, CELL) == 0
    long = Cell(bits=2048, dims=2**16, steps=1, seeds=1)
    assert 1000 < operations(TRELLIS, long) < 4096
