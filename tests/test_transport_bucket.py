"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc_stream.transport.bucket import Bucket, longest_wait


def test_it_starts_full_and_fills_up_to_that() -> None:
    bucket = Bucket(2.0, 10.0, 100.0)
    assert bucket.full(100.0)
    bucket.take(4.0)
    assert bucket.level(100.0) == 6.0
    assert bucket.level(101.0) == 8.0
    assert bucket.level(1000.0) == 10.0
    assert bucket.full(1000.0)


def test_too_much_at_once_is_waited_for_afterwards() -> None:
    bucket = Bucket(2.0, 10.0, 0.0)
    bucket.take(30.0)
    assert not bucket.full(0.0)
    assert bucket.level(0.0) == -20.0
    assert bucket.wait(0.0) == 10.5
    assert bucket.wait(10.0) == 0.5
    assert bucket.wait(10.5) == 0.0
    assert bucket.level(10.5) == 1.0


def test_an_amount_can_be_waited_for() -> None:
    bucket = Bucket(2.0, 10.0, 0.0)
    bucket.take(9.5)
    assert bucket.wait(0.0) == 0.0
    assert bucket.wait(0.0, 1.0) == 0.25
    # No more than there ever is.
    assert bucket.wait(0.0, 100.0) == pytest.approx(4.75)


def test_of_another_size_as_much_is_missing() -> None:
    bucket = Bucket(2.0, 10.0, 0.0)
    bucket.take(9.0)
    larger = bucket.resized(1.0, 20.0, 2.0)
    assert larger.level(2.0) == 15.0
    assert larger.level(3.0) == 16.0
    smaller = larger.resized(1.0, 3.0, 3.0)
    assert smaller.level(3.0) == -1.0
    assert Bucket(1.0, 10.0, 0.0).resized(1.0, 4.0, 0.0).full(0.0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(1.0, 10.0, 100.0)
    bucket.take(10.0)
    assert bucket.level(50.0) == 0.0
    assert bucket.level(101.0) == 1.0


@settings(deadline=None)  # a busy machine is no bug
@given(
    st.floats(0.1, 1e6),
    st.floats(0.1, 1e6),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 1e5)), max_size=30),
)
def test_the_average_holds(rate: float, capacity: float, asked: list[tuple[float, float]]) -> None:
    bucket = Bucket(rate, capacity, 0.0)
    now = taken = largest = 0.0
    for pause, amount in asked:
        now += pause
        now += bucket.wait(now)
        bucket.take(amount)
        taken, largest = taken + amount, max(largest, amount)
        assert taken <= capacity + now * rate * (1 + 1e-9) + largest + 1e-6


def test_of_several_the_emptiest_counts() -> None:
    slow, fast = Bucket(1.0, 10.0, 0.0), Bucket(10.0, 5.0, 0.0)
    slow.take(12.0)
    assert longest_wait((slow, fast), 0.0) == 3.0
    assert longest_wait((), 0.0) == 0.0
