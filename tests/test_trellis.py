"""The trellis: few bits buy the cosine they should, and any prefix of them is of use."""

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffc_stream.channel import trellis
from diffc_stream.channel.simulator import Address
from diffc_stream.channel.trellis import Trellis
from diffc_stream.errors import SimulationError

Floats = NDArray[np.float32]

HERE = Address(seed=3, step=5)
TRELLIS = Trellis()


def shift(dims: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(dims).astype(np.float32)


def cosine_squared(y: Floats, e: Floats) -> float:
    return float(np.dot(y, e) ** 2 / (np.dot(y, y) * np.dot(e, e)))


@pytest.mark.parametrize(
    ("dims", "length", "excess"),
    [(40_000, 512, 1.063), (9_000, 512, 1.085), (9_600, 12, 1.085), (1_152, 8, 1.12)],
)
def test_bits_over_an_ideal_code(dims: int, length: int, excess: float) -> None:
    ideal = [
        -dims / 2 * log2(1 - cosine_squared(TRELLIS.simulate(e, length, HERE).sample.values, e))
        for e in (shift(dims, seed) for seed in range(8 if length < 100 else 2))
    ]
    assert 1.0 < 8 * length / np.mean(ideal) < excess


@pytest.mark.parametrize(("dims", "length"), [(30_000, 601), (2_000, 120), (600, 37), (300, 12)])
def test_the_cosine_both_ends_expect_is_about_what_comes(dims: int, length: int) -> None:
    e = shift(dims)
    expected = trellis.cosine_squared(8 * length, dims)
    sample = TRELLIS.simulate(e, length, HERE).sample
    assert cosine_squared(sample.values, e) == pytest.approx(expected, rel=0.08)
    assert sample.energy == pytest.approx(expected / (1 - expected))


@pytest.mark.parametrize("dims", [1_100, 20_000])
def test_what_is_not_shift_has_unit_variance_and_no_direction(dims: int) -> None:
    e = shift(dims)
    simulation = TRELLIS.simulate(e, dims // 100, HERE)
    noise = simulation.sample.values - simulation.gain * e
    assert np.mean(noise**2) == pytest.approx(1.0, abs=0.02)
    assert np.dot(noise, e) == pytest.approx(0.0, abs=1e-3 * dims)


@pytest.mark.parametrize(
    ("dims", "length"), [(1, 1), (3, 1), (9, 2), (40, 2), (997, 3), (1_000, 19), (50_001, 611)]
)
def test_the_receiver_rebuilds_what_the_sender_found(dims: int, length: int) -> None:
    simulation = TRELLIS.simulate(shift(dims), length, HERE)
    assert len(simulation.payload) == length
    again = TRELLIS.reproduce(simulation.payload, dims, length, HERE)
    assert np.array_equal(again.values, simulation.sample.values)
    assert again.there == dims
    assert np.unique(np.abs(again.values)).size == 1


@pytest.mark.parametrize("length", [1, 2, 23])
def test_every_prefix_gives_the_beginning_and_zeros(length: int) -> None:
    dims = 2_345
    whole = TRELLIS.simulate(shift(dims), length, HERE)
    there = 0
    for size in range(length + 1):
        part = TRELLIS.reproduce(whole.payload[:size], dims, length, HERE)
        assert part.there >= there
        there = part.there
        assert np.array_equal(part.values[:there], whole.sample.values[:there])
        assert not part.values[there:].any()
        assert there >= dims * (8 * size - 13) // (8 * length) - 1
    assert there == dims


@given(st.sets(st.integers(0, 100), max_size=8))
def test_lost_bytes_are_zeros_where_they_matter(cuts: set[int]) -> None:
    dims, length = 3_001, 100
    payload = bytes(range(3, 103))
    edges = sorted(cuts)
    lost = list(zip(edges[::2], edges[1::2], strict=False))
    whole = TRELLIS.reproduce(payload, dims, length, HERE)
    part = TRELLIS.reproduce(payload, dims, length, HERE, lost)
    other = bytearray(payload)
    for first, end in lost:
        other[first:end] = bytes(value ^ 0xFF for value in other[first:end])
    same = TRELLIS.reproduce(bytes(other), dims, length, HERE, lost)
    assert np.array_equal(part.values, same.values)
    known = part.values != 0
    assert np.array_equal(part.values[known], whole.values[known])
    assert part.there == np.count_nonzero(known)
    missing = sum(end - first for first, end in lost)
    assert dims - part.there <= (missing * 8 + 13 * len(lost)) * -(-dims // 800)


def test_a_flipped_bit_stays_local() -> None:
    dims, length = 8_000, 100
    whole = TRELLIS.simulate(shift(dims), length, HERE)
    damaged = bytearray(whole.payload)
    damaged[50] ^= 0x10
    values = TRELLIS.reproduce(bytes(damaged), dims, length, HERE).values
    differs = np.nonzero(values != whole.sample.values)[0]
    assert 0 < len(differs) <= trellis.STATE_BITS * -(-dims // 800)
    assert 380 * 10 <= differs.min() <= differs.max() < 410 * 10


def test_the_scale_of_the_shift_does_not_matter() -> None:
    e = shift(500)
    one = TRELLIS.simulate(e, 6, HERE)
    for scale in (1e-30, 1e30):
        other = TRELLIS.simulate(e * np.float32(scale), 6, HERE)
        assert other.payload == one.payload
        assert other.gain * scale == pytest.approx(one.gain, rel=1e-5)


def test_a_shift_of_zeros_gives_noise() -> None:
    dims = 20_000
    simulation = TRELLIS.simulate(np.zeros(dims, np.float32), 200, HERE)
    values = simulation.sample.values
    assert simulation.gain == 1.0
    assert abs(np.mean(values)) < 0.03
    elsewhere = TRELLIS.simulate(np.zeros(dims, np.float32), 200, Address(seed=3, step=6))
    assert elsewhere.payload != simulation.payload


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_shifts_that_are_not_finite_are_refused(bad: float) -> None:
    e = shift(100)
    e[7] = bad
    with pytest.raises(SimulationError, match="not finite"):
        TRELLIS.simulate(e, 3, HERE)


@pytest.mark.parametrize(
    ("dims", "length"), [(0, 1), (100, 0), (100, -1), (100, 15), (4096 * 8 + 1, 1), (10**6, 30)]
)
def test_lengths_that_do_not_fit_are_refused(dims: int, length: int) -> None:
    assert dims == 0 or not TRELLIS.admits(dims, length)
    with pytest.raises(SimulationError):
        TRELLIS.reproduce(b"", dims, length, HERE)
    with pytest.raises(SimulationError):
        TRELLIS.simulate(shift(dims), length, HERE)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3_000), st.integers(1, 400), st.binary(max_size=420))
def test_any_bytes_give_a_sample(dims: int, length: int, payload: bytes) -> None:
    if not TRELLIS.admits(dims, length):
        with pytest.raises(SimulationError):
            TRELLIS.reproduce(payload, dims, length, HERE)
        return
    sample = TRELLIS.reproduce(payload, dims, length, HERE)
    assert sample.values.shape == (dims,)
    assert np.count_nonzero(sample.values) == sample.there
    assert (sample.there == dims) >= (len(payload) >= length)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 600), st.data())
def test_any_shift_can_be_simulated(dims: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, max(1, (dims + 7) // 8)))
    values = st.floats(width=32, allow_nan=False, allow_infinity=False)
    seed, spike = data.draw(st.integers(0, 99)), data.draw(values)
    e = shift(dims, seed)
    e[seed % dims] = spike
    simulation = TRELLIS.simulate(e, length, HERE)
    assert len(simulation.payload) == length
    assert np.isfinite(simulation.gain)
    assert simulation.gain >= 0


def test_reproduction_is_pinned() -> None:
    sample = TRELLIS.reproduce(bytes(range(7, 250, 13)), 1_900, 19, HERE)
    packed = np.packbits(sample.values[:64] < 0).tobytes().hex()
    assert packed == PINNED
    assert sample.values.max() == pytest.approx(1.05371, abs=1e-4)
    assert trellis.generators()[:6].tolist() == GENERATORS


PINNED = "839a351fcda10f00"
GENERATORS = [4061, 4007, 824, 3469, 3279, 1584]
