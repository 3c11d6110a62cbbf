"""As many packets as there are pieces give all pieces."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from diffc_stream.packets import erasure
from diffc_stream.packets.grammar import DRAWS, WIDEST


def test_a_repair_known_by_heart() -> None:
    pieces = [bytes([1, 2, 3, 250]), bytes([7, 0, 255, 4]), bytes([0, 9, 8, 128])]
    assert erasure.repair(pieces, 0).hex() == "aaf6ed98"
    assert erasure.repair(pieces, 127).hex() == "9ab3cea8"


def test_coefficients_are_inverses_in_the_field() -> None:
    factors = {erasure.coefficient(draw, piece) for draw in range(DRAWS) for piece in range(WIDEST)}
    assert len(factors) == 128
    assert 0 not in factors
    assert erasure.coefficient(0, 0) == 0x1B  # 0x80 * 0x1b is 1


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**31))
def test_any_as_many_packets_as_pieces_give_them_all(count: int, seed: int) -> None:
    drawn = random.Random(seed)
    pieces = [drawn.randbytes(5) for _ in range(count)]
    missing = sorted(drawn.sample(range(count), drawn.randint(1, count)))
    draws = drawn.sample(range(DRAWS), len(missing))
    repairs = [(count, draw, erasure.repair(pieces, draw)) for draw in draws]
    known = {place: piece for place, piece in enumerate(pieces) if place not in missing}
    expected = {place: pieces[place] for place in missing}
    assert erasure.solved(missing, repairs, known) == expected
    assert erasure.solved(missing, repairs[1:], known) is None


def test_repairs_of_fewer_pieces_help_those_of_more() -> None:
    pieces = [bytes([number, 3 * number]) for number in range(6)]
    for draws in itertools.permutations(range(3)):
        repairs = [
            (window, draw, erasure.repair(pieces[:window], draw))
            for window, draw in zip((2, 4, 6), draws, strict=True)
        ]
        known = {1: pieces[1], 2: pieces[2], 5: pieces[5]}
        assert erasure.solved([0, 3, 4], repairs, known) == {
            0: pieces[0],
            3: pieces[3],
            4: pieces[4],
        }


def test_the_same_repair_twice_tells_nothing_more() -> None:
    pieces = [b"ab", b"cd"]
    entry = (2, 5, erasure.repair(pieces, 5))
    assert erasure.solved([0, 1], [entry, entry], {}) is None
