"""How far a reference is trusted: bytes there and back, weights, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.trust import Trust, cells, code

SIZES = octaves.sizes(100, 150)


def trust(*codes: int, changed: list[tuple[int, int]] | None = None) -> Trust:
    mask = np.zeros(cells(SIZES), np.bool_)
    for cell in changed or []:
        mask[cell] = True
    return Trust(tuple(codes) or (0x55,) * len(SIZES), mask, tuple(SIZES))


@given(st.integers(1, 300), st.integers(1, 300), st.randoms(), st.floats(0, 1))
def test_reads_back(height: int, width: int, random: np.random.Generator, share: float) -> None:
    sizes = tuple(octaves.sizes(height, width))
    rows, columns = cells(sizes)
    changed = np.array(
        [[random.random() < share for _ in range(columns)] for _ in range(rows)], np.bool_
    )
    codes = tuple(range(len(sizes)))
    read = Trust.parse(Trust(codes, changed, sizes).encode(), sizes)
    assert read.codes == codes
    assert np.array_equal(read.changed, changed)


def test_the_tree_of_the_document() -> None:
    sizes = tuple(octaves.sizes(128, 192))
    changed = np.zeros(cells(sizes), np.bool_)
    assert changed.shape == (16, 24)
    changed[0, 0] = True
    # Squares of 32, 16, 8, 4, 2 and 1 cells; of that of 32 only the two upper quarters exist.
    assert Trust((0,) * 4, changed, sizes).encode()[4:].hex() == "fc0000"


def test_nothing_changed_takes_no_tree() -> None:
    assert trust().encode() == bytes([0x55] * len(SIZES))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x55", "1 bytes of trust"),
        (b"\x55" * len(SIZES) + b"\xff", "only in part"),
        (b"\x55" * len(SIZES) + b"\x00\x00", "something follows"),
        (b"\x55" * len(SIZES) + b"\x01", "something follows"),
    ],
)
def test_other_bytes_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Trust.parse(data, SIZES)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read = Trust.parse(data, SIZES)
    except ValueError:
        return
    assert Trust.parse(read.encode(), SIZES).codes == read.codes


def test_codes() -> None:
    assert code(4.0, 4.0) == 0x01
    assert code(0.25, 0.25) == 0x41
    assert code(0.25, 0.25 / 64) == 0x47
    assert code(0.25, 1e9) == code(0.25, 0.5) == 0x40, "as unlike as two pictures"
    assert code(0.0, 0.0) == 0xFF & code(1e-9, 1e-9)
    stated = trust(0x47)
    assert stated.variance(0) == 0.25
    assert stated.difference(0) == 0.25 / 64
    assert trust(0x40).difference(0) is None


def test_weights_follow_the_inverse_variances() -> None:
    stated = trust(0x47, 0x47, 0x40, 0x47)
    own = 0.57 * 0.25
    assert stated.weight(0, 0.0) == pytest.approx(own / (own + 0.25 / 64))
    assert np.all(stated.weight(0, 1e9) < 1e-3), "the stream knows better in the end"
    assert np.all(stated.weight(2, 0.0) == 0)


def test_changed_cells_have_no_weight_at_any_scale() -> None:
    sizes = tuple(octaves.sizes(2048, 3072))
    changed = np.zeros(cells(sizes), np.bool_)
    changed[5, 7] = True
    stated = Trust((0x47,) * len(sizes), changed, sizes)
    for scale in range(len(sizes)):
        octave = min(scale + 1, len(sizes) - 1)
        weight = stated.weight(scale, 0.0)
        assert weight.shape == sizes[octave]
        side = 32 / 2**octave
        row, column = int(5 * side), int(7 * side)
        assert weight[row, column] == 0
        assert weight[0, 0] > 0.9
        if octave <= 5:
            assert np.count_nonzero(weight == 0) == side**2


def test_what_a_reference_leaves_open() -> None:
    assert trust(0x40).missing(0) == 0.25
    assert trust(0x41).missing(0) == 0.125
    half = trust(0x4F, changed=[(row, 0) for row in range(cells(SIZES)[0])])
    gone = 1 / cells(SIZES)[1]
    assert half.missing(len(SIZES) - 1 - 3) == pytest.approx(0.25 * gone, rel=0.3)
