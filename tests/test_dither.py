"""Dithered quantisation: exactly uniform noise, at the price of the shift, from any prefix."""

import sys
from hashlib import sha256
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffc_stream.channel import dither
from diffc_stream.channel.dither import GRID, LARGEST, STEP, TABLES, DitheredQuantization
from diffc_stream.channel.randomness import Purpose, words
from diffc_stream.channel.simulator import Address, Floats, Sample, Simulation, Simulator
from diffc_stream.errors import MissingPackage, SimulationError

constriction = pytest.importorskip("constriction")

DITHERED: Simulator = DitheredQuantization()
ADDRESS = Address(seed=7, step=3)
AMPLE = 1 << 20


def gaussian(dims: int, energy: float, seed: int = 0) -> Floats:
    drawn = np.random.default_rng(seed).standard_normal(dims, np.float32)
    return drawn * np.float32(energy**0.5)


def spiked(dims: int, seed: int = 0) -> Floats:
    """A shift of which some values are far outside what its mean square makes one expect."""
    random = np.random.default_rng(seed)
    shift = random.standard_normal(dims)
    shift[random.random(dims) < 0.02] *= 3000.0
    return shift.astype(np.float32)


def ideal_bits(shift: Floats) -> NDArray[np.float64]:
    """What an ideal coder needs for each k, given all of U and the exact mean square."""
    spread = float(np.sqrt(np.mean(np.square(shift, dtype=np.float64)) / 12))
    drawn = dither.dither_of(ADDRESS, len(shift))
    rounded = np.rint(shift.astype(np.float64) * (GRID / STEP)).astype(np.int64)
    left = (rounded + drawn) // GRID - (drawn + 0.5) / GRID
    cdf = NormalDist(0.0, spread).cdf
    return -np.log2([cdf(edge + 1) - cdf(edge) for edge in left])


def rebuilt(simulation: Simulation, size: int | None = None) -> Sample:
    payload = simulation.payload
    dims = len(simulation.sample.values)
    return DITHERED.reproduce(payload[:size], dims, len(payload), ADDRESS)


@pytest.mark.parametrize("dims", [1, 2, 7, 1023, 1024, 1025, 3001])
@pytest.mark.parametrize("energy", [1e-12, 0.1, 1.0, 100.0, 40_000.0, 1e8])
def test_the_receiver_rebuilds_the_sample(dims: int, energy: float) -> None:
    shift = gaussian(dims, energy)
    simulation = DITHERED.simulate(shift, AMPLE, ADDRESS)
    again = rebuilt(simulation)
    assert simulation.gain == 1.0
    assert again.values.dtype == np.float32
    assert np.array_equal(again.values, simulation.sample.values)
    assert again.there == simulation.sample.there == dims
    assert again.energy == simulation.sample.energy
    mean_square = np.mean(np.square(shift, dtype=np.float64))
    assert again.energy == pytest.approx(mean_square, rel=1e-3, abs=1e-9)
    assert np.abs(again.values - shift).max() <= STEP / 2 * (1 + 1e-4) + 1e-6 * np.abs(shift).max()


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.1, -0.5, 1.7321, -3.7, 42.42, -99.9])
def test_the_noise_is_every_value_of_its_grid_once(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = np.arange(GRID, dtype="<u2").view("<u4")
    monkeypatch.setattr(dither, "words", lambda *address: every)
    shift = np.full(GRID, value, np.float32)
    simulation = DITHERED.simulate(shift, AMPLE, ADDRESS)
    units = simulation.sample.values.astype(np.float64) * (GRID / STEP)
    halves = np.rint(2 * units).astype(np.int64)
    # float32 moves a value by less than an eighth of the grid: what it came from is beyond doubt.
    assert np.abs(2 * units - halves).max() < 0.25
    noise = halves - 2 * round(float(np.float32(value)) * GRID / STEP)
    assert np.array_equal(np.sort(noise), np.arange(1 - GRID, GRID, 2))


def test_shared_words_give_noise_that_knows_nothing_of_the_shift() -> None:
    shift = gaussian(50_000, 4.0)
    noise = DITHERED.simulate(shift, AMPLE, ADDRESS).sample.values - shift
    assert abs(noise.mean()) < 0.02
    assert abs(noise.var() - 1) < 0.02
    assert abs(np.corrcoef(noise, shift)[0, 1]) < 0.015
    assert abs(np.corrcoef(noise**2, shift**2)[0, 1]) < 0.015


@pytest.mark.parametrize("shift", [gaussian(333, 0.2), gaussian(1100, 50.0), spiked(1100)])
def test_every_prefix_gives_the_first_part(shift: Floats) -> None:
    simulation = DITHERED.simulate(shift, AMPLE, ADDRESS)
    before = 0
    for size in range(len(simulation.payload) + 1):
        part = rebuilt(simulation, size)
        assert before <= part.there <= len(shift)
        assert np.array_equal(part.values[: part.there], simulation.sample.values[: part.there])
        assert not part.values[part.there :].any()
        assert part.energy == (simulation.sample.energy if size >= 2 else 0.0)
        before = part.there
    assert before == len(shift)


@pytest.mark.parametrize("energy", [1.0, 10.0, 1000.0])
def test_bits_over_an_ideal_coder(energy: float) -> None:
    shift = gaussian(4096, energy)
    ideal = np.concatenate([[0.0], np.cumsum(ideal_bits(shift))])
    simulation = DITHERED.simulate(shift, AMPLE, ADDRESS)
    size = len(simulation.payload)
    assert 0 < 8 * size - ideal[-1] < 0.003 * ideal[-1] + 24
    for cut in range(2, size, 50):
        arrived = rebuilt(simulation, cut).there
        assert 0 <= 8 * cut - ideal[arrived] < 0.003 * ideal[arrived] + 48


def test_a_shift_of_zeros_is_noise_and_costs_the_header() -> None:
    simulation = DITHERED.simulate(np.zeros(5000, np.float32), 2, ADDRESS)
    assert simulation.payload == b"\0\0"
    assert rebuilt(simulation).there == 5000
    assert simulation.sample.energy == 0.0
    assert simulation.sample.values.var() == pytest.approx(1.0, abs=0.05)
    assert rebuilt(simulation, 1).there == rebuilt(simulation, 0).there == 0


@pytest.mark.parametrize("shift", [[], [[0.0]], [np.nan, 0.0], [np.inf], [0.0, -np.inf]])
def test_what_is_no_shift_is_refused(shift: list[float]) -> None:
    with pytest.raises(SimulationError):
        DITHERED.simulate(np.array(shift, np.float32), AMPLE, ADDRESS)


def test_the_largest_values_are_coded_and_larger_ones_refused() -> None:
    for values in ([LARGEST], [-LARGEST], [LARGEST, -LARGEST, 0.0], [0.0] * 2000 + [-LARGEST]):
        shift = np.array(values, np.float32)
        simulation = DITHERED.simulate(shift, AMPLE, ADDRESS)
        assert np.array_equal(rebuilt(simulation).values, simulation.sample.values)
        assert np.abs(simulation.sample.values - shift).max() < 1.74
    for beyond in (1e30, -65537.0):
        with pytest.raises(SimulationError, match="beyond 65536"):
            DITHERED.simulate(np.array([beyond], np.float32), AMPLE, ADDRESS)


def test_a_shift_that_does_not_fit_is_refused() -> None:
    shift = gaussian(1000, 10.0)
    size = len(DITHERED.simulate(shift, AMPLE, ADDRESS).payload)
    assert len(DITHERED.simulate(shift, size, ADDRESS).payload) == size
    for length in (size - 1, 2):
        with pytest.raises(SimulationError, match=f"takes {size} bytes dithered"):
            DITHERED.simulate(shift, length, ADDRESS)


@pytest.mark.parametrize(("dims", "length"), [(0, 10), (-1, 10), (10, 0), (10, 1)])
def test_what_is_not_admitted_is_refused(dims: int, length: int) -> None:
    assert not DITHERED.admits(dims, length)
    with pytest.raises(SimulationError):
        DITHERED.reproduce(b"abc", dims, length, ADDRESS)


def test_bytes_after_the_length_are_ignored() -> None:
    simulation = DITHERED.simulate(gaussian(500, 3.0), AMPLE, ADDRESS)
    size = len(simulation.payload)
    longer = DITHERED.reproduce(simulation.payload + b"\xff" * 9, 500, size, ADDRESS)
    assert np.array_equal(longer.values, simulation.sample.values)


def test_other_addresses_have_other_noise() -> None:
    shift = gaussian(100, 1.0)
    noises = {
        (DITHERED.simulate(shift, AMPLE, address).sample.values - shift).tobytes()
        for address in (ADDRESS, Address(7, 4), Address(8, 3))
    }
    assert len(noises) == 3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(-LARGEST, LARGEST, width=32), min_size=1, max_size=60))
def test_any_shift_within_bounds_comes_across(values: list[float]) -> None:
    shift = np.array(values, np.float32)
    simulation = DITHERED.simulate(shift, AMPLE, ADDRESS)
    assert len(simulation.payload) <= 6 * len(shift) + 18
    assert np.array_equal(rebuilt(simulation).values, simulation.sample.values)
    half = rebuilt(simulation, len(simulation.payload) // 2)
    assert np.array_equal(half.values[: half.there], simulation.sample.values[: half.there])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=80), st.integers(1, 3000), st.integers(2, 90), st.integers(0, 90))
def test_any_bytes_give_a_sample_and_their_prefixes_its_first_part(
    payload: bytes, dims: int, length: int, size: int
) -> None:
    whole = DITHERED.reproduce(payload, dims, length, ADDRESS)
    assert whole.values.shape == (dims,)
    assert 0 <= whole.there <= dims
    assert np.isfinite(whole.values).all()
    assert not whole.values[whole.there :].any()
    part = DITHERED.reproduce(payload[:size], dims, length, ADDRESS)
    assert part.there <= whole.there
    assert np.array_equal(part.values[: part.there], whole.values[: part.there])


def test_the_sample_ends_where_garbage_stands_for_nothing() -> None:
    header = dither.code_of(10.0).to_bytes(2, "big")
    assert DITHERED.reproduce(header + b"\xff" * 40, 100, 42, ADDRESS).there == 0
    body = words(2, Purpose.RENDERING, 0, 10_000).astype("<u4").tobytes()
    sample = DITHERED.reproduce(header + body, 60_000, len(body) + 2, ADDRESS)
    assert sample.there == ENDS
    assert sample.values[: sample.there].all()
    assert not sample.values[sample.there :].any()


def test_codes_of_the_mean_square_are_a_grid_of_thousandths_of_an_octave() -> None:
    energies = np.array([dither.energy_of(code) for code in range(2**16)])
    assert energies[0] == 0.0
    assert (np.diff(energies) > 0).all()
    assert energies[1] < 1e-9
    assert energies[-1] > LARGEST**2
    assert all(dither.code_of(float(energies[code])) == code for code in range(1, 2**16, 7))
    assert dither.code_of(1.9999) == dither.code_of(2.0)
    assert dither.code_of(1e-30) == 1


def test_the_tables_are_pinned() -> None:
    digest = sha256()
    for table in range(TABLES):
        frequencies = dither.frequencies(table)
        assert frequencies.min() >= 1
        assert (frequencies.sum(axis=1) == 2**24).all()
        digest.update(frequencies.astype("<u4").tobytes())
    assert digest.hexdigest() == FREQUENCIES


def test_no_boundary_is_near_enough_to_rounding_up_to_depend_on_a_last_bit() -> None:
    nearest = min(np.abs(dither.boundaries(i) % 1.0 - 0.5).min() for i in range(TABLES))
    # The error of an erf good to 2^-50 is 2^-26 here.
    assert nearest > 1e-6


@pytest.mark.parametrize("table", [0, 90, 150, TABLES - 1])
def test_constriction_takes_the_frequencies_as_they_are(table: int) -> None:
    frequencies = dither.frequencies(table)
    row = len(frequencies) // 3
    weights = (frequencies - 1).astype(np.float64)
    concrete = constriction.stream.model.Categorical(weights[row], perfect=False)
    family = constriction.stream.model.Categorical(perfect=False)
    below = 0
    for symbol, frequency in enumerate(frequencies[row].tolist()):
        for model, rows in ((concrete, ()), (family, (weights[row : row + 1],))):
            coder = constriction.stream.queue.RangeEncoder()
            coder.encode(np.array([symbol], np.int32), model, *rows)
            position, (lower, width) = coder.pos()
            # The first symbol's interval: 2^64 - 1 is what the coder starts from.
            unit = (2**64 - 1) // 2**24 << 32 * position
            assert (lower, width) == (below * unit % 2**64, frequency * unit)
        below += frequency


def test_the_payload_is_pinned() -> None:
    shift = np.array([0.0, 0.5, -1.0, 3.25, -7.5, 12.0, 0.125, -40.0], np.float32)
    simulation = DITHERED.simulate(shift, AMPLE, Address(seed=1, step=2))
    assert simulation.payload.hex() == PAYLOAD
    assert (simulation.sample.values * 2**16).astype(np.int64).tolist() == VALUES


def test_a_payload_with_escapes_is_pinned() -> None:
    shift = np.zeros(3000, np.float32)
    shift[[2, 1500, 1501, 2999]] = 3000.0, -5000.0, 7.0, 60000.0
    simulation = DITHERED.simulate(shift, AMPLE, Address(seed=1, step=2))
    assert sha256(simulation.payload).hexdigest() == ESCAPED


def test_without_constriction_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = DITHERED.simulate(gaussian(10, 1.0), AMPLE, ADDRESS).payload
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(MissingPackage, match=r"pip install 'diffc-stream\[exact\]'"):
        DITHERED.simulate(gaussian(10, 1.0), AMPLE, ADDRESS)
    with pytest.raises(MissingPackage, match="need constriction"):
        DITHERED.reproduce(payload, 10, len(payload), ADDRESS)
    assert DITHERED.admits(10, 2)


ENDS = 14982
FREQUENCIES = "d5273d5937dd5f5cdbd9e5c8554451620da3ec0f9a1140b920c277436d4b0bd1"
PAYLOAD = "9b15841473c093"
VALUES = [15333, 133494, -123195, 214412, -604788, 732333, -9815, -2701256]
ESCAPED = "919c25d27fb150139c604b9b10a44e76e7a533ad505827d98cc5765e5578bcc1"
