"""The Poisson functional representation: samples are exact, and tests can tell."""

from functools import cache
from itertools import pairwise
from math import log2, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from goodness import misfits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffc_stream.channel import pfr, zipf
from diffc_stream.channel.pfr import PoissonFunctionalRepresentation
from diffc_stream.channel.simulator import Address, Simulation
from diffc_stream.errors import MissingPackage, SimulationError

pytest.importorskip("constriction")

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HERE = Address(seed=7, step=3)
QUICK = PoissonFunctionalRepresentation(chunk_bits=5, candidates=2**9)
DEFAULT = PoissonFunctionalRepresentation()
PLENTY = 100_000


def shift_of(dims: int, mean_square: float, seed: int = 0) -> Floats:
    """Return a normal shift of exactly that mean square."""
    drawn = np.random.default_rng(seed).standard_normal(dims)
    drawn *= sqrt(mean_square / np.mean(drawn**2))
    return drawn.astype(np.float32)


def energies(shift: Floats) -> float:
    return float(np.mean(np.square(shift, dtype=np.float64)))


# The contract of a simulator.


@pytest.mark.parametrize(
    ("sender", "mean_square"),
    [(QUICK, 0.0), (QUICK, 1e-9), (QUICK, 0.01), (QUICK, 1.5), (DEFAULT, 30.0), (DEFAULT, 1e3)],
)
@pytest.mark.parametrize("dims", [1, 2, 7, 331])
def test_the_receiver_rebuilds_what_the_sender_found(
    sender: PoissonFunctionalRepresentation, dims: int, mean_square: float
) -> None:
    shift = shift_of(dims, mean_square) if mean_square else np.zeros(dims, np.float32)
    done = sender.simulate(shift, PLENTY, HERE)
    length = len(done.payload)
    assert QUICK.admits(dims, length)
    assert done.gain == 1.0
    assert done.sample.there == dims
    assert done.sample.energy == pytest.approx(energies(shift), rel=0.011, abs=2e-5)
    for receiver in (QUICK, DEFAULT):
        found = receiver.reproduce(done.payload, dims, length, HERE)
        assert np.array_equal(found.values, done.sample.values)
        assert found.values.dtype == np.float32
        assert (found.there, found.energy) == (dims, done.sample.energy)


@cache
def one_simulation() -> Simulation:
    return QUICK.simulate(shift_of(701, 0.6), PLENTY, HERE)


def test_every_prefix_gives_the_first_part_of_the_sample() -> None:
    done = one_simulation()
    length, dims = len(done.payload), 701
    reached = []
    for size in range(length + 1):
        part = QUICK.reproduce(done.payload[:size], dims, length, HERE)
        assert np.array_equal(part.values[: part.there], done.sample.values[: part.there])
        assert not part.values[part.there :].any()
        assert part.energy in (0.0, done.sample.energy)
        reached.append(part.there)
    assert reached[:3] == [0, 0, 0]
    assert all(before <= after for before, after in pairwise(reached))
    assert reached[-1] == dims
    assert reached[length // 2] == pytest.approx(dims / 2, rel=0.2)
    beyond = QUICK.reproduce(done.payload + b"more", dims, length, HERE)
    assert np.array_equal(beyond.values, done.sample.values)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    payload=st.binary(max_size=60),
    dims=st.integers(1, 2_000),
    seed=st.integers(0, 2**32 - 1),
    step=st.integers(0, 2**31 - 1),
    cut=st.integers(0, 60),
)
def test_garbage_gives_a_sample(payload: bytes, dims: int, seed: int, step: int, cut: int) -> None:
    where = Address(seed, step)
    length = max(1, len(payload))
    whole = QUICK.reproduce(payload, dims, length, where)
    part = QUICK.reproduce(payload[:cut], dims, length, where)
    assert 0 <= part.there <= whole.there <= dims
    assert whole.values.shape == (dims,)
    assert np.isfinite(whole.values).all()
    assert np.array_equal(part.values[: part.there], whole.values[: part.there])
    assert not whole.values[whole.there :].any()


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    dims=st.integers(1, 60),
    log_energy=st.floats(-20, 15),
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(0, 80),
)
def test_any_shift_comes_across_or_is_refused(
    dims: int, log_energy: float, seed: int, size: int
) -> None:
    shift = shift_of(dims, 2.0**log_energy, seed)
    where = Address(seed, seed % 2**31)
    try:
        done = QUICK.simulate(shift, 60, where)
    except SimulationError:
        return
    assert len(done.payload) <= 60
    part = QUICK.reproduce(done.payload[:size], dims, len(done.payload), where)
    assert np.array_equal(part.values[: part.there], done.sample.values[: part.there])
    assert part.there == dims or size < len(done.payload)


@pytest.mark.parametrize(
    "shift",
    [
        np.zeros(0, np.float32),
        np.zeros((2, 2), np.float32),
        np.array([1, np.nan], np.float32),
        np.array([np.inf, 1], np.float32),
        np.array([300, 300], np.float32),
    ],
)
def test_shifts_that_cannot_be_simulated(shift: Floats) -> None:
    with pytest.raises(SimulationError):
        QUICK.simulate(shift, PLENTY, HERE)


def test_lengths_that_are_too_small() -> None:
    shift = shift_of(300, 2.0)
    needed = len(QUICK.simulate(shift, PLENTY, HERE).payload)
    assert len(QUICK.simulate(shift, needed, HERE).payload) == needed
    for length in (0, 1, needed // 2, needed - 1):
        with pytest.raises(SimulationError, match="bytes cannot bring"):
            QUICK.simulate(shift, length, HERE)
    with pytest.raises(SimulationError):
        QUICK.reproduce(b"", 300, 0, HERE)
    with pytest.raises(SimulationError):
        QUICK.reproduce(b"", 0, 9, HERE)


def test_many_dims_need_some_bytes() -> None:
    assert QUICK.admits(2**14, 1)
    assert not QUICK.admits(2**14 + 1, 1)
    done = QUICK.simulate(np.zeros(5 * 2**14, np.float32), 5, HERE)
    assert len(done.payload) == 5


def test_an_uneven_shift_gets_smaller_chunks_or_is_refused() -> None:
    simulator = PoissonFunctionalRepresentation(chunk_bits=9, candidates=2**10)
    assert simulator.search(shift_of(400, 2.0), HERE).chunk_bits < 9
    careless = PoissonFunctionalRepresentation(chunk_bits=9, candidates=2**10, careful=False)
    assert careless.search(shift_of(400, 2.0), HERE).chunk_bits == 9
    alone = np.zeros(400, np.float32)
    alone[77] = 100
    with pytest.raises(SimulationError, match="uneven"):
        simulator.simulate(alone, PLENTY, HERE)


@pytest.mark.parametrize(("chunk_bits", "number"), [(0, 9), (33, 9), (8, 1), (8, 2**24 + 1)])
def test_parameters_out_of_range(chunk_bits: int, number: int) -> None:
    with pytest.raises(ValueError, match="candidates"):
        PoissonFunctionalRepresentation(chunk_bits, number)


def test_the_published_scheme_can_be_expressed() -> None:
    published = PoissonFunctionalRepresentation(14, 2**16, careful=False)
    done = published.simulate(shift_of(20, 2.0), PLENTY, HERE)
    assert np.array_equal(
        QUICK.reproduce(done.payload, 20, PLENTY, HERE).values, done.sample.values
    )


def test_a_wide_chunk_is_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    done = QUICK.simulate(shift_of(500, 0.01), PLENTY, HERE)
    monkeypatch.setattr(pfr, "_AT_ONCE", 64)
    found = QUICK.reproduce(done.payload, 500, PLENTY, HERE)
    assert np.array_equal(found.values, done.sample.values)


def test_samples_depend_on_the_address() -> None:
    shift = shift_of(50, 1.0)
    drawn = [
        QUICK.simulate(shift, PLENTY, where).sample.values
        for where in (HERE, Address(8, 3), Address(7, 4))
    ]
    assert abs(np.corrcoef([values - shift for values in drawn])[np.triu_indices(3, 1)]).max() < 0.4


def test_without_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "constriction", None)
    for attempt in (
        lambda: QUICK.simulate(shift_of(9, 1.0), PLENTY, HERE),
        lambda: QUICK.reproduce(b"123", 9, 3, HERE),
    ):
        with pytest.raises(MissingPackage, match="exact"):
            attempt()


# Exactness: samples minus shift against N(0, I), at fixed seeds.


def sampled(width: int, chunks: int, number: int) -> tuple[Doubles, Doubles, float]:
    """Return noise and shift of chunks of ``width`` values, and the share of exact chunks.

    At v = 2.8, where a value holds 0.97 bits, so that ``width`` bits are ``width`` values or one
    more; the latter are left out.
    """
    shift = np.random.default_rng(width).uniform(-2.9, 2.9, chunks * width).astype(np.float32)
    simulator = PoissonFunctionalRepresentation(width, number, careful=False)
    found = simulator.search(shift, HERE)
    edges = pfr._Layout(len(shift), found.v_code, width).edges
    values = pfr._Layout(len(shift), found.v_code, width).values(found.numbers, HERE)
    noise = values.astype(np.float64) - shift
    these = edges[:-1][np.diff(edges) == width]
    assert len(these) > 0.8 * chunks
    lanes = these[:, None] + np.arange(width)
    return noise[lanes], shift[lanes].astype(np.float64), float(found.exact.mean())


@pytest.mark.parametrize(("width", "chunks"), [(1, 2_500), (2, 1_500), (4, 1_000)])
def test_samples_are_exact(width: int, chunks: int) -> None:
    noise, shift, exact = sampled(width, chunks, 2**14)
    assert exact > 0.995
    found = misfits(noise, shift)
    assert max(found.values()) < 1, found


@pytest.mark.parametrize(
    ("width", "chunks", "number"), [(1, 2_500, 4), (2, 1_500, 8), (4, 1_000, 24)]
)
def test_too_few_candidates_are_found_out(width: int, chunks: int, number: int) -> None:
    noise, shift, exact = sampled(width, chunks, number)
    assert exact < 0.7
    found = misfits(noise, shift)
    assert found["leaning"] > 1, found
    assert max(found["normal"], found["normal, binned"], found["variance"]) > 1, found


def test_no_further_candidate_changes_an_exact_chunk() -> None:
    shift = shift_of(600, 3.0)
    few, many = (
        PoissonFunctionalRepresentation(4, number, careful=False).search(shift, HERE)
        for number in (2**8, 2**13)
    )
    assert 0.3 < few.exact.mean() < 0.9
    assert many.exact[few.exact].all()
    assert np.array_equal(few.numbers[few.exact], many.numbers[few.exact])


def test_every_statistic_finds_what_it_looks_for() -> None:
    random = np.random.default_rng(5)
    good, shift = random.standard_normal((2_000, 2)), random.uniform(-3, 3, (2_000, 2))
    assert max(misfits(good, shift).values()) < 1
    pairs = np.repeat(good[:, :1], 2, axis=1)
    for name, bad in {
        "normal": random.uniform(-sqrt(3), sqrt(3), (2_000, 2)),
        "normal, binned": random.uniform(-sqrt(3), sqrt(3), (2_000, 2)),
        "mean": good + 0.1,
        "variance": good * 1.1,
        "energy": pairs,
        "energy, binned": pairs,
        "leaning": good - 0.05 * shift,
        "energy by shift": good * np.sqrt(0.8 + shift**2 / 15),
        "chunk after chunk": np.repeat(good[::2], 2, axis=0),
        "value by value": pairs,
        "energy by energy": pairs * random.choice([-1, 1], (2_000, 2)),
    }.items():
        assert misfits(bad, shift)[name] > 1, name


# Cost.


@pytest.mark.parametrize("mean_square", [0.1, 1.0])
def test_numbers_cost_less_than_the_bound_of_the_paper(mean_square: float) -> None:
    simulator = PoissonFunctionalRepresentation(chunk_bits=6, candidates=2**12)
    shift = shift_of(int(60 * 6 / (log2(1 + mean_square) / 2)), mean_square)
    found = simulator.search(shift, HERE)
    information = float(np.mean(pfr._Layout(len(shift), found.v_code, 6).information(shift)))
    assert information == pytest.approx(6, abs=0.3)
    decay = zipf.best_decay(found.numbers, 12)
    spent = zipf.code_length(found.numbers, 12, decay) / len(found.numbers)
    assert spent < information + log2(information + 1) + 5 - 4


def test_information_is_the_divergence() -> None:
    shift = shift_of(9, 1.3)
    layout = pfr._Layout(9, pfr.nearest_code(1.3), 32)
    v = pfr.energy(layout.v_code)
    each = NormalDist(0, sqrt(1 + v))
    # KL(q || p) as an expectation over q, by the rectangle rule.
    grid = np.linspace(-9, 9, 20_001)
    density = np.array([NormalDist().pdf(x) for x in grid]) * (grid[1] - grid[0])
    total = 0.0
    for mu in shift.tolist():
        ratio = [log2(NormalDist().pdf(x) / each.pdf(x + mu)) for x in grid.tolist()]
        total += float(density @ np.array(ratio))
    assert layout.information(shift).tolist() == pytest.approx([total], rel=1e-6)


# What both ends must agree on.


def test_energies_and_rates_are_the_same_everywhere() -> None:
    assert pfr.energy(0) == 0.0
    assert pfr.energy(512) == 1.0
    assert [pfr.nearest_code(pfr.energy(code)) for code in range(1024)] == list(range(1024))
    exact = [log2(1 + pfr.energy(code)) / 2 * 2**24 for code in range(1024)]
    assert min(abs(value % 1 - 0.5) for value in exact) > 1e-4
    assert [pfr.rate(code) for code in (0, 1, 512, 1023)] == [0, 189, 2**23, 133_955_771]


def test_a_payload_is_pinned() -> None:
    shift = np.array([(-1) ** i * (i % 7) / 4 for i in range(40)], np.float32)
    done = PoissonFunctionalRepresentation().simulate(shift, PLENTY, HERE)
    assert done.payload.hex() == PINNED
    values = QUICK.reproduce(bytes.fromhex(PINNED), 40, PLENTY, HERE).values
    assert values[::9].tolist() == PINNED_VALUES


PINNED = "7ccee5aa942a"
PINNED_VALUES = [
    0.5793213248252869,
    1.642563819885254,
    1.1272737979888916,
    -2.7976491451263428,
    -0.3862573504447937,
]
