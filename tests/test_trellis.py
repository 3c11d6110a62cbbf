"""The trellis: few bits buy the cosine they should, and any prefix of them is of use."""

from math import log2

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.channel import trellis

Floats = NDArray[np.float32]


def error(dims: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(dims).astype(np.float32)


def cosine_squared(y: Floats, e: Floats) -> float:
    return float(np.dot(y, e) ** 2 / (np.dot(y, y) * np.dot(e, e)))


@pytest.mark.parametrize(
    ("dims", "segments", "excess"),
    [(40_000, [512], 1.085), (9_000, [512], 1.075), (20_000, [128] * 4, 1.09), (1_152, [8], 1.25)],
)
def test_bits_over_an_ideal_code(dims: int, segments: list[int], excess: float) -> None:
    bits = 8 * sum(segments)
    ideal = [
        -dims / 2 * log2(1 - cosine_squared(trellis.simulate(e, segments)[1], e))
        for e in (error(dims, seed) for seed in range(3))
    ]
    assert 1.0 < bits / np.mean(ideal) < excess


@pytest.mark.parametrize(("dims", "segments"), [(30_000, [300, 301]), (2_000, [120]), (600, [70])])
def test_the_cosine_both_ends_expect_is_about_what_comes(dims: int, segments: list[int]) -> None:
    e = error(dims)
    expected = trellis.cosine_squared(8 * sum(segments), dims, len(segments))
    assert cosine_squared(trellis.simulate(e, segments)[1], e) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("dims", "segments"), [(3, [1]), (9, [2]), (1_000, [9, 10]), (5_000, [20, 21, 20])]
)
def test_the_receiver_rebuilds_what_the_sender_found(dims: int, segments: list[int]) -> None:
    payload, y = trellis.simulate(error(dims), segments)
    assert len(payload) == sum(segments)
    assert np.array_equal(trellis.reproduce(payload, dims, segments), y)
    assert np.dot(y, y) == pytest.approx(dims, rel=1e-4)


def test_every_prefix_gives_the_beginning_and_zeros() -> None:
    dims, segments = 2_345, [11, 12]
    payload, y = trellis.simulate(error(dims), segments)
    for size in range(len(payload) + 1):
        part = trellis.reproduce(payload[:size], dims, segments)
        filled = trellis.received_dims(size, dims, segments)
        assert np.array_equal(part[:filled], y[:filled])
        assert not part[filled:].any()
    assert filled == dims


def test_a_flipped_bit_stays_local() -> None:
    dims, segments = 8_000, [100]
    payload, y = trellis.simulate(error(dims), segments)
    damaged = bytearray(payload)
    damaged[50] ^= 0x10
    differs = np.nonzero(trellis.reproduce(bytes(damaged), dims, segments) != y)[0]
    assert 0 < len(differs) <= trellis.STATE_BITS * -(-dims // 800)
    assert differs.min() >= 400 * dims // 800


def test_viterbi_finds_what_exhaustive_search_finds() -> None:
    dims, segments = 40, [1]
    e = error(dims)
    best = max(
        float(np.dot(trellis.reproduce(bytes([code]), dims, segments), e)) for code in range(256)
    )
    assert float(np.dot(trellis.simulate(e, segments)[1], e)) == pytest.approx(best, rel=1e-5)


def test_segments_are_searched_alike_alone_and_in_batches() -> None:
    dims, sizes = 80 * 8 * 20, [80] * 20
    e = error(dims)
    payload, _ = trellis.simulate(e, sizes)
    alone, _ = trellis.simulate(e[: 80 * 8], [80])
    assert payload[:80] == alone


def test_too_few_bits_for_the_codebook_are_refused() -> None:
    dims = 1_000_000
    fewest = trellis.fewest_bits(dims)
    trellis.reproduce(b"", dims, [fewest // 8])
    with pytest.raises(ValueError, match="too few"):
        trellis.reproduce(b"", dims, [fewest // 8 - 1])


def test_reproduction_is_pinned() -> None:
    y = trellis.reproduce(bytes(range(7, 250, 13)), 1900, [19])
    assert y[-6:].tolist() == pytest.approx(PINNED, abs=1e-4)


PINNED = [-0.5682, -0.51157, 2.43019, -0.06119, 1.15151, 0.75703]
