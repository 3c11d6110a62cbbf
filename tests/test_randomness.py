"""Shared randomness is the published generator and a pinned table, on every platform."""

from hashlib import sha256

import numpy as np
import pytest

from diffc_stream.channel.randomness import (
    Purpose,
    normal_table,
    normals,
    philox,
    quantiles,
    signs,
    words,
)

# Known answers of Philox4x32-10 from the Random123 distribution (kat_vectors).
KNOWN = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN)
def test_philox_gives_the_published_answers(
    key: tuple[int, int], counter: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert philox(key, np.array([counter], np.uint32)).tolist() == [list(expected)]


def test_words_are_pinned_and_a_prefix_of_longer_draws() -> None:
    drawn = words(7, Purpose.ROTATION, 3, 10)
    assert [hex(word) for word in drawn[:4]] == WORDS
    assert np.array_equal(words(7, Purpose.ROTATION, 3, 4096)[:10], drawn)


def test_addresses_seeds_and_purposes_do_not_share_words() -> None:
    draws = [
        words(0, Purpose.ROTATION, 0, 64),
        words(1, Purpose.ROTATION, 0, 64),
        words(0, Purpose.RENDERING, 0, 64),
        words(0, Purpose.ROTATION, 1, 64),
    ]
    assert len(np.unique(np.concatenate(draws))) == 4 * 64


def test_the_normal_table_is_pinned() -> None:
    grid = normal_table() * 4096
    assert np.array_equal(grid, np.round(grid))
    assert sha256(grid.astype("<i2").tobytes()).hexdigest() == TABLE


def test_no_quantile_is_near_enough_to_a_rounding_boundary_to_depend_on_a_last_bit() -> None:
    fraction = np.abs(quantiles() * 4096) % 1.0
    assert np.abs(fraction - 0.5).min() > 1e-6


def test_normals_are_standard() -> None:
    drawn = normals(0, Purpose.CODEBOOK, 0, 200_000).astype(np.float64)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.var() - 1) < 0.01
    assert abs((drawn**4).mean() - 3) < 0.06


def test_signs_are_balanced_bits_of_the_words() -> None:
    drawn = signs(0, Purpose.ROTATION, 0, 70)
    bits = [int(word) >> i & 1 for word in words(0, Purpose.ROTATION, 0, 3) for i in range(32)]
    assert drawn.tolist() == [1 - 2 * bit for bit in bits[:70]]


WORDS = ["0xca07929a", "0x6b26ac2c", "0xb2cb55b", "0x816d0732"]
TABLE = "40ee0b39e7fb65b97666ee6288116a4ea92d6f09c2ca1068508c3a47304fb4a6"
