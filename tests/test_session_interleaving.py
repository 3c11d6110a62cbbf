"""Which stream goes next, and how much of it."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import replace
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc_stream.session.interleaving import (
    FIRST_FRAME,
    FRAME,
    OVERHEAD,
    RECOGNISABLE,
    SHARED_FRAME,
    SMALL_FRAME,
    USUAL_GAIN,
    Outlook,
    Turn,
    cut,
    hull,
    turn,
)


def outlook(
    *points: tuple[int, float],
    position: int = 0,
    end: int | None = None,
    last: bool = True,
    weight: float = 1.0,
    boundaries: tuple[int, ...] = (),
) -> Outlook:
    """Return what is known of a stream whose curve goes through ``points``, bytes and dB."""
    return Outlook(
        position=position,
        end=points[-1][0] if end is None else end,
        last=last,
        weight=weight,
        offsets=[offset for offset, _ in points],
        psnr=[psnr for _, psnr in points],
        boundaries=boundaries,
    )


def taken(outlook: Outlook, *, alone: bool = False) -> Turn:
    """Return its turn, which it has."""
    found = turn(outlook, alone=alone)
    assert found is not None
    return found


def quality(outlook: Outlook, position: int) -> float:
    """Return the quality of what has been sent, which ends at a step."""
    return outlook.psnr[bisect_right(outlook.offsets, position) - 1]


def test_the_gain_of_a_step_is_per_byte_and_message() -> None:
    step = taken(outlook((100, 20.0), (300, 24.0), position=100))
    assert step == Turn(300, 4.0 / (200 + OVERHEAD))


def test_the_steepest_goes_first() -> None:
    steep = outlook((100, 20.0), (300, 24.0), (700, 26.0), position=100)
    shallow = outlook((100, 20.0), (300, 23.0), (700, 25.5), position=100)
    assert taken(steep).gain > taken(shallow).gain
    # Later on it is the other one's turn.
    steep = outlook((100, 20.0), (300, 24.0), (700, 26.0), position=300)
    assert taken(steep).gain < taken(shallow).gain


def test_a_step_that_has_to_be_paid_for_first() -> None:
    """Opening an octave gains nothing, what follows much: the whole stretch counts."""
    flat_then_steep = outlook((100, 20.0), (200, 20.0), (300, 26.0), position=100)
    even = outlook((100, 20.0), (200, 22.0), (300, 24.0), position=100)
    assert taken(flat_then_steep) == Turn(300, 6.0 / (200 + OVERHEAD))
    assert taken(flat_then_steep).gain > taken(even).gain


def test_within_a_step_what_is_left_of_it_counts() -> None:
    halfway = outlook((100, 20.0), (300, 24.0), position=200)
    assert taken(halfway) == Turn(300, pytest.approx(2.0 / (100 + OVERHEAD)))  # type: ignore[arg-type]


def test_before_the_curve_begins() -> None:
    """The header is worth what the first step brings after it."""
    begun = outlook((20, 12.0), (50, 15.0))
    assert taken(begun) == Turn(50, 6.0 / (50 + OVERHEAD))


def test_what_nobody_can_recognise_counts_double() -> None:
    worth = []
    for before, after in ((10.0, 12.0), (18.0, 20.0), (19.0, 21.0), (30.0, 32.0)):
        step = outlook((100, before), (300, after), position=100)
        worth.append(taken(step).gain * (200 + OVERHEAD))
    assert worth == pytest.approx([4.0, 3.0, 2.0, 2.0])
    assert RECOGNISABLE == 19.0


@pytest.mark.parametrize("weight", [0.001, 0.5, 1.0, 3.0, 1000.0])
def test_weights_multiply(weight: float) -> None:
    plain = outlook((100, 20.0), (300, 24.0), position=100)
    weighted = outlook((100, 20.0), (300, 24.0), position=100, weight=weight)
    assert taken(weighted).end == taken(plain).end
    assert taken(weighted).gain == pytest.approx(weight * taken(plain).gain)


@pytest.mark.parametrize("points", [(), ((20, 12.0), (50, 15.0), (100, 16.0))])
def test_without_a_curve_the_usual_is_expected(points: tuple[tuple[int, float], ...]) -> None:
    """Or beyond it, if what follows cannot be parsed."""
    beyond = outlook(*points, position=100, end=400)
    gain = USUAL_GAIN * log2((400 + OVERHEAD) / (100 + OVERHEAD)) / 300
    assert taken(beyond) == Turn(400, pytest.approx(gain))  # type: ignore[arg-type]


def test_only_what_can_be_sent_is_looked_at_but_for_the_step_under_way() -> None:
    points = ((100, 20.0), (300, 21.0), (500, 21.5), (700, 40.0))
    assert taken(outlook(*points, position=100, end=600)).gain == 1.0 / (200 + OVERHEAD)
    assert taken(outlook(*points, position=100, end=700)).gain == 20.0 / (600 + OVERHEAD)
    # Half of a step is worth as much per byte as the whole.
    assert taken(outlook(*points, position=100, end=200)).gain == 1.0 / (200 + OVERHEAD)


def test_a_flat_curve_has_its_turn_before_all_others_have_ended() -> None:
    flat = outlook((1000, 20.0), (2000, 20.0), position=1000)
    usual = [outlook(position=1000 * far, end=1000 * far + FRAME) for far in (1, 5, 50)]
    assert taken(flat).end == 2000
    assert [taken(flat).gain > taken(other).gain for other in usual] == [False, False, True]
    assert taken(replace(flat, weight=1000.0)).gain > taken(usual[0]).gain


@pytest.mark.parametrize(("alone", "smallest"), [(True, SMALL_FRAME), (False, SHARED_FRAME)])
def test_slivers_wait_for_more(alone: bool, smallest: int) -> None:
    for position, least in ((20, smallest), (2000, 500), (10**6, FRAME)):
        wanting = outlook(position=position, end=position + least - 1, last=False)
        enough = outlook(position=position, end=position + least, last=False)
        final = outlook(position=position, end=position + 1, last=True)
        assert turn(wanting, alone=alone) is None
        assert taken(enough, alone=alone).end == position + least
        assert taken(final, alone=alone).end == position + 1


def test_the_first_picture_does_not_wait() -> None:
    for alone in (True, False):
        assert taken(outlook(end=1, last=False), alone=alone).end == 1
        assert taken(outlook(end=5000, last=False), alone=alone).end == FIRST_FRAME


def test_frames_alone_are_as_large_as_may_be() -> None:
    points = ((100, 20.0), (300, 24.0), (5000, 30.0))
    assert taken(outlook(*points, position=100), alone=True).end == 100 + FRAME


def test_frames_beside_others_end_with_the_stretch() -> None:
    points = ((100, 20.0), (110, 21.0), (300, 24.0), (5000, 30.0))
    assert taken(outlook(*points, position=110)).end == 300
    # Neither a sliver nor more than a frame.
    points = ((100, 20.0), (110, 21.0), (300, 21.1), (5000, 30.0))
    assert taken(outlook(*points, position=100)).end == 100 + SHARED_FRAME
    assert taken(outlook(*points, position=300)).end == 300 + FRAME


@pytest.mark.parametrize(
    ("boundaries", "end"),
    [
        ((), 500),
        ((100, 300), 300),
        ((100, 299), 500),  # less than half of it would be left
        ((300, 400, 499), 499),
        ((300, 500), 500),
        ((500, 501), 500),
        ((20, 100), 500),
    ],
)
def test_a_message_ends_where_a_record_does(boundaries: tuple[int, ...], end: int) -> None:
    assert cut(outlook(position=100, end=9000, boundaries=boundaries), 500) == end


def test_a_message_ends_where_the_bytes_do() -> None:
    assert cut(outlook(position=100, end=400), 500) == 400
    assert cut(outlook(position=100, end=400, boundaries=(350, 450)), 500) == 350


steps = st.lists(
    st.tuples(st.integers(1, 3000), st.one_of(st.just(0.0), st.floats(0.0, 5.0))), max_size=12
)


@st.composite
def outlooks(draw: st.DrawFn) -> Outlook:
    """Any curve at all, any place on it."""
    points, offset, psnr = [], draw(st.integers(0, 40)), draw(st.floats(5.0, 20.0))
    for size, gain in draw(steps):
        points.append((offset, psnr))
        offset, psnr = offset + size, psnr + gain
    position = draw(st.integers(0, offset + 50))
    return outlook(
        *points,
        position=position,
        end=position + draw(st.integers(1, 5000)),
        last=draw(st.booleans()),
        weight=draw(st.floats(1e-3, 1e3)),
        boundaries=tuple(sorted(draw(st.sets(st.integers(0, offset), max_size=20)))),
    )


@settings(max_examples=100, deadline=None)
@given(outlooks(), st.booleans())
def test_a_turn_is_something_that_can_be_sent(outlook: Outlook, alone: bool) -> None:
    found = turn(outlook, alone=alone)
    if found is None:
        assert not outlook.last
        assert outlook.position
        assert outlook.end - outlook.position < FRAME
        return
    assert outlook.position < found.end <= outlook.end
    assert found.end - outlook.position <= (FRAME if outlook.position else FIRST_FRAME)
    assert found.gain >= -1e-12


@settings(max_examples=300, deadline=None)
@given(outlooks())
def test_along_the_hull_the_same_is_found(outlook: Outlook) -> None:
    whole = replace(outlook, end=max(outlook.end, *outlook.offsets, outlook.position + 1))
    known = replace(whole, hull=hull(outlook.offsets, outlook.psnr))
    assert turn(known, alone=False) == turn(whole, alone=False)
    # Where it is not all within reach, it is of no use, and does no harm.
    known = replace(outlook, hull=known.hull)
    assert turn(known, alone=False) == turn(outlook, alone=False)


def test_a_hull_leaves_out_what_is_below_and_not_what_is_on_it() -> None:
    offsets, psnr = [0, 100, 200, 300, 400, 500], [20.0, 21.0, 25.0, 25.5, 25.5, 26.5]
    assert hull(offsets, psnr) == [2, 2, 3, 5, 5, 6]
    assert hull([], []) == []
    assert hull([7], [20.0]) == [1]


@settings(max_examples=100, deadline=None)
@given(outlooks(), st.integers(1, 2000))
def test_a_cut_leaves_at_least_half(outlook: Outlook, size: int) -> None:
    end = cut(outlook, outlook.position + size)
    whole = min(size, outlook.end - outlook.position)
    assert whole / 2 <= end - outlook.position <= whole


STEP = 250
concave = st.tuples(st.floats(0.5, 6.0), st.floats(0.55, 0.9))
"""Gain of the first step, and of every other over the one before: so that each is its own stretch,
whatever a message costs, and none is flat."""


@settings(max_examples=50, deadline=None)
@given(st.lists(concave, min_size=2, max_size=5))
def test_no_round_robin_is_better(curves: list[tuple[float, float]]) -> None:
    """In steps of equal size on curves that bend down, at every byte."""
    streams = []
    for gain, ratio in curves:
        gains = [gain * ratio**step for step in range(5)]
        psnr = [RECOGNISABLE, *itertools.accumulate(gains, initial=RECOGNISABLE)][1:]
        streams.append(list(zip(range(0, 6 * STEP, STEP), psnr, strict=True)))
    positions, alternating = [0] * len(streams), [0] * len(streams)
    for message in range(5 * len(streams)):
        turns = {}
        for place, (points, position) in enumerate(zip(streams, positions, strict=True)):
            if position < points[-1][0]:
                turns[place] = taken(outlook(*points, position=position))
        best = max(turns, key=lambda place: turns[place].gain)
        assert turns[best].end == positions[best] + STEP
        positions[best] = turns[best].end
        alternating[message % len(streams)] += STEP
        greedy, fair = (
            sum(quality(outlook(*s), p) for s, p in zip(streams, reached, strict=True))
            for reached in (positions, alternating)
        )
        assert greedy >= fair - 1e-9
    assert positions == alternating
