"""The window that a receiver grants."""

from __future__ import annotations

import pytest

from diffc_stream.session import MAX_WINDOW
from diffc_stream.session.pace import Pace


def paced(*, round_trip: float = 0.0) -> Pace:
    """Return the pace of a receiver that was welcomed at ``round_trip`` and got its first bytes."""
    pace = Pace(0.0)
    pace.welcomed(round_trip)
    pace.arrived(256, round_trip)
    return pace


def renewed(pace: Pace, now: float) -> int:
    """Return the window that is granted with an ACK."""
    pace.renew(now)
    return pace.window


def simulated(
    *, rate: float, round_trip: float, most: int = 8192, seconds: float = 60.0
) -> tuple[int, float, int]:
    """Run a link of ``rate`` bytes per second that always has something to send.

    Returns the last window and, of the second half, the share of the link that was used and the
    most bytes that waited in front of it.
    """
    pace, now = Pace(0.0), round_trip
    pace.welcomed(now)
    window, sent, received, acknowledged = min(Pace.LEAST, most), 0, 0, 0
    free_at, queue, halfway = now, 0, 0
    arrivals: list[tuple[float, int]] = []
    acks: list[tuple[float, int, int]] = []
    while now < seconds:
        while acks and acks[0][0] <= now:
            _, sender_knows, window = acks.pop(0)
            acknowledged = sender_knows
        while (frame := min(512, window - (sent - acknowledged))) >= 64:
            free_at = max(free_at, now) + frame / rate
            waits = int((free_at - now) * rate)
            queue = max(queue, waits) if now >= seconds / 2 else 0
            arrivals.append((free_at + round_trip / 2, frame))
            sent += frame
        now = min(time for time, *_ in [*arrivals[:1], *acks[:1]])
        while arrivals and arrivals[0][0] <= now:
            _, frame = arrivals.pop(0)
            received += frame
            pace.arrived(frame, now)
            last = acks[-1][1] if acks else acknowledged
            if 3 * (received - last) >= min(pace.window, most):
                granted = min(renewed(pace, now), most)
                acks.append((now + round_trip / 2, received, granted))
        halfway = halfway or (received if now >= seconds / 2 else 0)
    return window, (received - halfway) / (rate * seconds / 2), queue


def test_before_anything_has_come() -> None:
    pace = Pace(5.0)
    assert pace.window == Pace.LEAST
    assert renewed(pace, 9.0) == Pace.LEAST
    pace.welcomed(9.5)
    assert renewed(pace, 9.5) == Pace.LEAST


def test_it_doubles_until_a_rate_can_be_told() -> None:
    pace = paced(round_trip=0.01)
    windows = []
    for number in range(1, 8):
        pace.arrived(1000, 0.01 + 0.001 * number)
        windows.append(renewed(pace, 0.01 + 0.001 * number))
    assert windows == [4400, 8800, 17_600, 35_200, MAX_WINDOW, MAX_WINDOW, MAX_WINDOW]
    pace.arrived(1000, 1.01)
    assert renewed(pace, 1.01) == pytest.approx(8000 * 1.02, abs=1)


def test_rate_times_two_round_trips_and_a_second() -> None:
    pace = paced(round_trip=0.6)
    pace.arrived(1000, 1.1)
    pace.arrived(1000, 1.6)
    assert renewed(pace, 1.6) == pytest.approx(2000 * 2.2, abs=1)
    assert renewed(pace, 1.6) == pace.window


def test_the_first_bytes_waited_for_nothing() -> None:
    """What was on its way when the clock starts says nothing of the rate."""
    pace = Pace(0.0)
    pace.welcomed(0.0)
    pace.arrived(50_000, 1.0)
    pace.arrived(3000, 2.0)
    assert renewed(pace, 2.0) == 3000


def test_the_best_of_late_counts() -> None:
    pace, now = paced(), 0.0
    windows = []
    for nbytes in (5000, 4000, *[3000] * Pace.SAMPLES):
        now += 1.0
        pace.arrived(nbytes, now)
        windows.append(renewed(pace, now))
    # 5,000 is forgotten first, then 4,000.
    assert windows == [5000] * Pace.SAMPLES + [4000, 3000]


def test_a_pause_of_the_sender_is_not_the_links_fault() -> None:
    pace = paced()
    pace.arrived(4000, 1.0)
    assert renewed(pace, 1.0) == 4000
    pace.arrived(4000, 1000.0)
    assert renewed(pace, 1000.0) == 4000


def test_what_comes_at_once_says_nothing_of_the_link() -> None:
    """As after a loss: TCP has held back what came behind it."""
    pace = paced()
    pace.arrived(1000, 1.0)
    assert renewed(pace, 1.0) == Pace.LEAST
    for now in (3.0, 3.0, 3.001):
        pace.arrived(1000, now)
        assert renewed(pace, now) == Pace.LEAST
    # It counts in the next interval.
    pace.arrived(1000, 4.0)
    assert renewed(pace, 4.0) == 3000


def test_a_trickle_gets_the_least() -> None:
    pace = paced(round_trip=2.0)
    pace.arrived(10, 10.0)
    assert renewed(pace, 10.0) == Pace.LEAST


@pytest.mark.parametrize("round_trip", [0.02, 0.6, 3.0])
@pytest.mark.parametrize("rate", [125.0, 1000.0, 8000.0, 1e6])
def test_it_settles_where_the_link_is_busy_and_little_waits(rate: float, round_trip: float) -> None:
    window, used, queue = simulated(rate=rate, round_trip=round_trip, most=65_536, seconds=120.0)
    ideal = rate * (2 * round_trip + Pace.SLACK)
    assert window == pytest.approx(min(65_536, max(ideal, Pace.LEAST)), rel=0.05, abs=64)
    if ideal < 65_536:
        assert used > 0.94
        # All of the window that the link itself does not hold.
        assert queue <= max(ideal, Pace.LEAST) - rate * round_trip + 512


@pytest.mark.parametrize("round_trip", [0.05, 0.6])
def test_a_window_that_was_too_small_grows(round_trip: float) -> None:
    """At first the window is the limit, not the link: every round trip brings more than twice."""
    window, _, _ = simulated(rate=1e7, round_trip=round_trip, most=8192, seconds=4 * round_trip + 1)
    assert window == 8192


def test_on_a_distant_link_too() -> None:
    """Rate times two round trips is twice what is under way, however long they are."""
    _, used, _ = simulated(rate=3000.0, round_trip=10.0, most=65_536, seconds=400.0)
    assert used > 0.95
