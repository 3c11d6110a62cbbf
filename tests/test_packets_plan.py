"""What is sent when: pieces in order, repairs of the first of them in between."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.packets import Plan
from diffc_stream.packets.grammar import DRAWS, WIDEST
from diffc_stream.packets.plan import OFTENEST

losses = st.one_of(st.none(), st.floats(0, 0.9))


def test_a_plan_known_by_heart() -> None:
    sent = list(Plan().entries(8))
    assert sent == [
        *((0, None), (1, 0), (1, None), (2, None), (2, 1), (3, None), (4, None), (5, None)),
        *((3, 2), (6, None), (7, None)),
    ]


@given(st.integers(1, 300), losses)
def test_a_round_has_all_pieces_in_order_and_repairs_of_what_was_sent(
    pieces: int, loss: float | None
) -> None:
    number = 0
    for entry, draw in Plan.for_loss(loss).entries(pieces):
        if draw is None:
            assert entry == number
            number += 1
        else:
            assert 1 <= entry <= min(number, WIDEST)
            assert 0 <= draw < DRAWS
    assert number == pieces


@given(st.integers(1, 300), losses)
def test_whoever_joins_a_carousel_soon_has_the_first_piece(pieces: int, loss: float | None) -> None:
    plan = Plan.for_loss(loss)
    length = sum(1 for _ in plan.entries(pieces))
    sent = list(itertools.islice(plan.entries(pieces, carousel=True), 4 * length))
    first = {(0, None), *((1, draw) for draw in range(DRAWS))}
    shown = [at for at, entry in enumerate(sent) if entry in first]
    gaps = [b - a for a, b in itertools.pairwise(shown)]
    assert max(gaps, default=1) <= max(OFTENEST, 0.1 * len(sent) / 3)


@given(st.integers(1, 300), losses)
def test_a_carousel_comes_round(pieces: int, loss: float | None) -> None:
    plan = Plan.for_loss(loss)
    length = sum(1 for _ in plan.entries(pieces))
    sent = list(itertools.islice(plan.entries(pieces, carousel=True), 3 * length + 8))
    for number in range(pieces):
        assert sent.count((number, None)) >= 2, "in two rounds, of which each is a third longer"


def test_no_repairs_where_nothing_is_lost() -> None:
    assert [entry for entry in Plan.for_loss(0).entries(50) if entry[1] is not None] == []


@pytest.mark.parametrize("loss", [-0.1, 0.95, 1.0])
def test_a_loss_that_cannot_be_planned(loss: float) -> None:
    with pytest.raises(ValueError, match="can be planned"):
        Plan.for_loss(loss)
