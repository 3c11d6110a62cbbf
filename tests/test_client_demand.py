"""How much of a picture is wanted, and how badly."""

from __future__ import annotations

from diffc_client.api.demand import Demand
from diffc_stream.session import WHOLE, Target

SMALL, LARGE = Target(bytes=100), Target(psnr=30.0)


def test_all_of_it_unless_said_otherwise() -> None:
    wanted = Demand()
    assert (wanted.target, wanted.weight) == (WHOLE, 1.0)


def test_a_change_is_remembered_and_told() -> None:
    wanted, told = Demand(SMALL, 2.0), list[tuple[Target, float]]()
    wanted.change(LARGE, 3.0)
    assert (wanted.target, wanted.weight) == (LARGE, 3.0)
    wanted.follow(lambda *change: told.append(change))
    assert told == []
    wanted.change(SMALL, 0.5)
    assert told == [(SMALL, 0.5)]


def test_only_the_last_follower_is_told() -> None:
    """The link of before has gone."""
    wanted, first, second = Demand(), list[Target](), list[Target]()
    wanted.follow(lambda target, _: first.append(target))
    wanted.follow(lambda target, _: second.append(target))
    wanted.change(SMALL, 1.0)
    wanted.follow(None)
    wanted.change(LARGE, 1.0)
    assert (first, second) == ([], [SMALL])
    assert wanted.target == LARGE
