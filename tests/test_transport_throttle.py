"""Things that are said once a minute, and counted meanwhile."""

from __future__ import annotations

from diffc_stream.transport.throttle import Throttle


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_thing_is_said_once_a_minute_and_then_how_often_it_was_not() -> None:
    clock = Clock()
    said = Throttle(clock=clock)
    assert [said.due("a") for _ in range(5)] == [0, None, None, None, None]
    assert said.due("b") == 0
    clock.now += 59
    assert said.due("a") is None
    clock.now += 1
    assert said.due("a") == 5
    clock.now += 60
    assert said.due("a") == 0


def test_some_things_may_be_said_more_often() -> None:
    clock = Clock()
    said = Throttle(clock=clock)
    assert [said.due("a", 3) for _ in range(5)] == [0, 0, 0, None, None]
    clock.now += 61
    assert [said.due("a", 3) for _ in range(4)] == [2, 0, 0, None]


def test_a_clock_that_was_put_back_silences_nobody() -> None:
    clock = Clock()
    said = Throttle(clock=clock)
    said.due("a")
    clock.now = 5.0
    assert said.due("a") == 0


def test_of_many_things_the_oldest_are_forgotten() -> None:
    clock = Clock()
    said = Throttle(keys=10, clock=clock)
    for number in range(1000):
        said.due(number)
        assert len(said) <= 10
    assert said.due(999) is None
    assert said.due(0) == 0
