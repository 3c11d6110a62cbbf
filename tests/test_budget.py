"""Hours, days and months of the calendar, windows across midnight, and summer time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from diffc_stream.budget import Budget, Spending, Window

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo | None = None) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).timestamp()


def said(time: float | None, zone: ZoneInfo | None = None) -> str:
    assert time is not None
    return datetime.fromtimestamp(time, zone or UTC).isoformat()[:16]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("08:00-10:30", (480, 629), (479, 630)),
        ("22:00-06:00", (1320, 1439, 0, 359), (360, 1319)),
        ("00:00-24:00", (0, 1439), ()),
        ("23:59-00:00", (1439,), (0, 1438)),
    ],
)
def test_windows(text: str, inside: tuple[int, ...], outside: tuple[int, ...]) -> None:
    window = Window.parse(text)
    assert str(window) == text
    assert all(minute in window for minute in inside)
    assert not any(minute in window for minute in outside)


@pytest.mark.parametrize(
    "text", ["", "8-10", "08:00", "08:00-08:00", "24:00-01:00", "08:00-24:01", "08:60-09:00", "x"]
)
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(ValueError, match="is not HH:MM-HH:MM"):
        Window.parse(text)


def test_periods_of_the_calendar() -> None:
    budget = Budget(zone=UTC)
    now = at("2026-12-31T23:59:30")
    starts = {period: said(budget.start(period, now)) for period in ("hour", "day", "month")}
    assert starts == {
        "hour": "2026-12-31T23:00",
        "day": "2026-12-31T00:00",
        "month": "2026-12-01T00:00",
    }
    assert {said(budget.end(period, now)) for period in starts} == {"2027-01-01T00:00"}
    february = at("2028-02-29T00:00:00")
    assert said(budget.end("month", february)) == "2028-03-01T00:00"


def test_the_smallest_room_counts_and_comes_back() -> None:
    budget, spending = Budget(hour=100, day=150, zone=UTC), Spending()
    now = at("2026-05-01T10:30:00")
    assert budget.room(spending, now) == 100
    budget.spend(spending, 100, now)
    assert budget.room(spending, now) == 0
    assert said(budget.opens(spending, now)) == "2026-05-01T11:00"
    later = at("2026-05-01T11:05:00")
    assert budget.room(spending, later) == 50
    budget.spend(spending, 70, later)  # more than there was is remembered, and gives no credit
    assert budget.room(spending, later) == 0
    assert said(budget.opens(spending, later)) == "2026-05-02T00:00"
    budget.spend(spending, -40, later)
    assert budget.room(spending, later) == 20
    assert Budget(zone=UTC).room(spending, later) is None


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    budget, spending = Budget(day=100, zone=UTC), Spending()
    budget.spend(spending, 90, at("2026-05-02T01:00:00"))
    before = at("2026-05-01T23:00:00")
    assert budget.room(spending, before) == 10
    budget.spend(spending, 10, before)
    assert budget.room(spending, before) == 0
    assert budget.room(spending, at("2026-05-02T01:00:00")) == 100


def test_windows_and_limits_together() -> None:
    windows = (Window.parse("22:00-06:00"), Window.parse("12:00-12:30"))
    budget, spending = Budget(day=100, windows=windows, zone=UTC), Spending()
    noon = at("2026-05-01T12:10:00")
    assert (budget.is_open(noon), said(budget.closes(noon))) == (True, "2026-05-01T12:30")
    budget.spend(spending, 100, noon)
    # The day's budget comes back at midnight, when the night's window is open.
    assert said(budget.opens(spending, noon)) == "2026-05-02T00:00"
    afternoon = at("2026-05-01T15:00:00")
    assert budget.room(Spending(), afternoon) == 0
    assert said(budget.opens(Spending(), afternoon)) == "2026-05-01T22:00"
    assert said(budget.closes(at("2026-05-01T23:00:00"))) == "2026-05-02T06:00"
    whole = Budget(windows=(Window.parse("00:00-12:00"), Window.parse("12:00-24:00")), zone=UTC)
    assert whole.closes(noon) is None
    assert str(budget) == "100 bytes a day, 22:00-06:00, 12:00-12:30"
    assert (str(Budget()), Budget().unlimited, budget.unlimited) == ("no limits", True, False)


def test_summer_time() -> None:
    """29 March 2026 has 23 hours in Berlin, 25 October has 25."""
    budget = Budget(day=100, windows=(Window.parse("02:15-02:45"),), zone=BERLIN)
    march = at("2026-03-29T01:30:00", BERLIN)
    assert budget.end("day", march) - budget.start("day", march) == 23 * 3600
    assert said(budget.opens(Spending(), march), BERLIN) == "2026-03-30T02:15"
    october = at("2026-10-25T01:30:00", BERLIN)
    assert budget.end("day", october) - budget.start("day", october) == 25 * 3600
    hours = {budget.start("hour", october + 3600 * n) for n in range(4)}
    assert len(hours) == 4
    assert said(budget.opens(Spending(), october), BERLIN) == "2026-10-25T02:15"


def test_when_each_of_several_can_be_spent() -> None:
    budget, spending = Budget(hour=100, zone=UTC), Spending()
    now = at("2026-05-01T10:30:00")
    budget.spend(spending, 40, now)
    times = list(budget.reaches(spending, [60, 10, 250, 0], now))
    assert [said(time) for time in times] == [
        *("2026-05-01T10:30", "2026-05-01T11:00", "2026-05-01T13:00", "2026-05-01T13:00")
    ]
    assert spending.of("hour", budget.start("hour", now)) == 40
    assert list(Budget(hour=1, zone=UTC).reaches(spending, [10**9, 1], now)) == [None, None]


def test_this_machines_zone_is_the_default() -> None:
    now = datetime.now(UTC).timestamp()
    budget = Budget()
    assert budget.start("day", now) <= now < budget.end("day", now)
