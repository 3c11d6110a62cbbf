"""The search finds the best path, or one as good as any, with or without a compiler."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.channel import trellis, viterbi
from diffc_stream.channel.simulator import Address

Floats = NDArray[np.float32]


def shift(dims: int, seed: int = 0) -> Floats:
    e = np.random.default_rng(seed).standard_normal(dims).astype(np.float32)
    return np.asarray(e / np.abs(e).max(), np.float32)


def correlation(bits: NDArray[np.uint8], e: Floats) -> float:
    payload = np.packbits(bits).tobytes()
    y = trellis.Trellis().reproduce(payload, len(e), len(payload), Address(0, 0)).values
    return float(np.dot(y, e) / np.linalg.norm(y) / np.linalg.norm(e))


@pytest.mark.parametrize("dims", [5, 40, 333])
def test_eight_bits_are_searched_exhaustively(dims: int) -> None:
    e = shift(dims)
    every = [np.unpackbits(np.array([code], np.uint8)) for code in range(256)]
    best = max(correlation(bits, e) for bits in every)
    found = viterbi.search(e, 8, trellis.generators())
    assert correlation(found, e) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("count", [16, 48, 512, 520])
def test_no_neighbour_is_better(count: int, compiled: bool) -> None:
    e = shift(20 * count)
    found = viterbi.search(e, count, trellis.generators(), compiled=compiled)
    best = correlation(found, e)
    for place in range(0, count, 7):
        other = found.copy()
        other[place] ^= 1
        assert correlation(other, e) < best


@pytest.mark.parametrize(("count", "dims"), [(24, 700), (96, 1152), (1024, 9_999), (4_104, 41_000)])
def test_both_engines_find_paths_as_good(count: int, dims: int) -> None:
    e = shift(dims)
    found = [
        correlation(viterbi.search(e, count, trellis.generators(), compiled=compiled), e)
        for compiled in (False, True)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_both_walkers_carry_the_same_metrics_and_decide_alike() -> None:
    from diffc_stream.channel.compiled import CompiledWalker

    e, count = shift(2_001), 64
    borders = viterbi.edges(count, len(e))
    firsts = np.array([60, 7])
    metrics, decisions, paths = [], [], []
    for walker in (
        viterbi.NumpyWalker(e, borders, trellis.generators()),
        CompiledWalker(e, borders, trellis.generators()),
    ):
        carried = np.zeros((2, viterbi.REGISTERS), np.float32)
        decided = walker.walk(firsts, 40, carried)
        metrics.append(carried)
        decisions.append(np.unpackbits(decided))
        paths.append(walker.trace(decided, carried.argmax(axis=1)))
    assert np.allclose(metrics[0], metrics[1], atol=1e-4)
    assert np.mean(decisions[0] != decisions[1]) < 1e-3
    assert np.array_equal(paths[0][0], paths[1][0])
    assert np.array_equal(paths[0][1], paths[1][1])


def test_a_compiler_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    e = shift(900)
    monkeypatch.setattr(viterbi, "_compiled", lambda: None)
    assert np.array_equal(
        viterbi.search(e, 96, trellis.generators()),
        viterbi.search(e, 96, trellis.generators(), compiled=False),
    )


def test_it_can_be_prepared() -> None:
    viterbi.prepare()


def test_slices_share_the_dimensions_evenly() -> None:
    assert viterbi.edges(8, 20).tolist() == [0, 2, 5, 7, 10, 12, 15, 17, 20]
