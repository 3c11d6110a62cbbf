"""Which of many pictures goes on next."""

from __future__ import annotations

from diffc_client.mirror.scheduler import FIRST, MOST_STALE, TransferScheduler, end_of, round_of


def test_rounds_end_where_the_next_begin() -> None:
    assert [end_of(number) for number in range(4)] == [FIRST, 1024, 4096, 16_384]
    for number in range(10):
        assert round_of(end_of(number) - 1) == number
        assert round_of(end_of(number)) == number + 1
    assert round_of(0) == 0


def test_least_first_and_of_these_the_newest() -> None:
    rounds = TransferScheduler()
    for name, held, time in (
        ("old", 100, 1),
        ("new", 0, 3),
        ("begun", 300, 9),
        ("far", 5000, 9),
        ("middle", 255, 2),
    ):
        rounds.put(name, held=held, time=time)
    assert len(rounds) == 5
    assert [rounds.before((0, number)) for number in range(5)] == [0, 3, 4, 4, 5]
    assert [rounds.take() for _ in range(6)] == ["new", "middle", "old", "begun", "far", None]
    assert (len(rounds), rounds.before((0, 9))) == (0, 0)


def test_a_picture_waits_once() -> None:
    rounds = TransferScheduler()
    rounds.put("a", held=0, time=1)
    rounds.put("b", held=0, time=1)
    rounds.put("a", held=5000, time=1)
    assert len(rounds) == 2
    assert [rounds.take() for _ in range(3)] == ["b", "a", None]
    rounds.put("a", held=0, time=1)
    rounds.discard("a")
    rounds.discard("a")
    assert (len(rounds), rounds.take()) == (0, None)


def test_a_picture_that_changes_for_ever_takes_no_memory() -> None:
    rounds = TransferScheduler()
    for time in range(5000):
        rounds.put("a", held=0, time=time)
        rounds.put("b", held=0, time=-time)
    assert len(rounds._heap) <= 2 * 2 + MOST_STALE
    assert [rounds.take() for _ in range(3)] == ["a", "b", None]
