"""What is wrong with a link, as a function of places: no sockets, no time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from diffc_stream.transport.impairment import Break, Faults, Impairment, Line


def cut(data: bytes, sizes: list[int]) -> Iterator[tuple[int, bytes]]:
    """``data`` in pieces of ``sizes``, again and again, each with its place."""
    place = turn = 0
    while place < len(data):
        yield place, data[place : place + sizes[turn % len(sizes)]]
        place += sizes[turn % len(sizes)]
        turn += 1


def damaged(data: bytes, sizes: list[int], impairment: Impairment, seed: str = "0") -> bytes:
    faults = Faults(seed)
    return b"".join(faults.damaged(piece, at, impairment) for at, piece in cut(data, sizes))


def wrong_bits(data: bytes) -> list[int]:
    return [8 * at + bit for at, byte in enumerate(data) for bit in range(8) if byte << bit & 0x80]


def test_a_line_is_crossed_by_one_byte_after_the_other() -> None:
    line = Line()
    assert line.crossed(50, 100, ready=10.0) == 10.5
    assert line.crossed(100, 100, ready=10.0) == 11.5
    assert line.crossed(10, 100, ready=20.0) == pytest.approx(20.1)
    assert line.crossed(10**9, None, ready=20.0) == 20.0
    assert line.crossed(10, 10, ready=0.0) == pytest.approx(21.1)


@pytest.mark.parametrize(
    ("impairment", "message"),
    [
        *(({"rate": rate}, "bytes per second") for rate in (0.0, -1.0, math.nan, math.inf)),
        *(({name: -0.1}, "seconds") for name in ("delay", "jitter", "stall")),
        *(({name: math.nan}, "seconds") for name in ("delay", "jitter", "stall")),
        ({"piece": 0}, "piece of 0"),
        *(({name: -1}, "before") for name in ("stall_after", "cut_after", "reset_after")),
        ({"flips": (-1,)}, "before"),
        ({"flips": (3, 3)}, "ascending"),
        *(({"flip_every": every}, "one in") for every in (0.5, math.nan, math.inf)),
    ],
)
def test_what_no_link_can_do(impairment: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Impairment(**impairment)  # type: ignore[arg-type]


def test_pieces_get_small_where_they_would_take_long() -> None:
    assert Impairment().most_at_once == 4096
    assert Impairment(piece=7).most_at_once == 7
    assert Impairment(rate=1000).most_at_once == 50
    assert Impairment(rate=1000, piece=7).most_at_once == 7
    assert Impairment(rate=1).most_at_once == 1


def test_pieces_end_where_something_happens() -> None:
    impairment = Impairment(piece=100, stall_after=250, cut_after=420, silent_after=510)
    fits, place = [], 0
    while place < 600:
        fits.append(impairment.fit(place))
        place += fits[-1]
    assert fits == [100, 100, 50, 50, 100, 20, 80, 10, 90]


def test_the_first_break_counts() -> None:
    impairment = Impairment(cut_after=30, reset_after=10, silent_after=20)
    assert impairment.broken_at(9) is None
    assert [impairment.broken_at(place) for place in (10, 25, 99)] == 3 * [Break.RESET]
    assert Impairment(cut_after=0).broken_at(0) is Break.CUT
    assert Impairment().broken_at(10**9) is None


def test_what_is_in_flight_is_what_delay_and_rate_make() -> None:
    assert Impairment(rate=1000, delay=0.3, jitter=0.1).holds == 400
    assert Impairment(rate=1000).holds == 0
    assert Impairment(delay=0.1).holds > 100_000


@pytest.mark.parametrize("sizes", [[1], [7, 1, 100], [1000]])
def test_named_bits_are_flipped(sizes: list[int]) -> None:
    impairment = Impairment(flips=(0, 9, 17, 7999, 9000))
    assert wrong_bits(damaged(bytes(1000), sizes, impairment)) == [0, 9, 17, 7999]
    data = bytes(range(250)) * 4
    assert damaged(data, sizes, Impairment()) == data
    result = damaged(data, sizes, Impairment(flips=(15,)))
    assert result == bytes([0, 0]) + data[2:]


def test_drawn_flips_follow_from_the_seed_and_are_as_many_as_asked_for() -> None:
    impairment = Impairment(flip_every=200)
    whole = damaged(bytes(50_000), [50_000], impairment)
    assert damaged(bytes(50_000), [1, 13, 4096], impairment) == whole
    assert damaged(bytes(50_000), [4096], impairment, seed="1") != whole
    expected = 400_000 / 200
    assert abs(len(wrong_bits(whole)) - expected) < 4 * math.sqrt(expected)
    assert damaged(bytes(9), [2], Impairment(flip_every=1)) == b"\xff" * 9


def test_drawn_flips_may_begin_late() -> None:
    impairment = Impairment(flip_every=50)
    whole = damaged(bytes(2000), [2000], impairment)
    assert Faults("0").damaged(bytes(500), 1500, impairment) == whole[1500:]


def test_every_piece_is_late_by_as_much_as_the_seed_says() -> None:
    impairment = Impairment(piece=100, jitter=0.5)
    late = Faults("0")
    times = [late.lateness(place, impairment) for place in range(0, 100_000, 10)]
    again = Faults("0")
    assert times[::10] == [again.lateness(place, impairment) for place in range(0, 100_000, 100)]
    assert all(times[i] == times[i - i % 10] for i in range(len(times)))
    assert Faults("1").lateness(0, impairment) != times[0]
    assert 0 <= min(times) < 0.01 < 0.49 < max(times) < 0.5
    assert sum(times) / len(times) == pytest.approx(0.25, abs=0.02)
    assert Faults("0").lateness(0, Impairment()) == 0.0
