"""Equal shares of time, whatever is asked for."""

from __future__ import annotations

from diffc_client.mirror.fair_share import FairShare


def served(turns: FairShare[str], cost: dict[str, float], count: int) -> list[str]:
    """Return whose turns came, each taking what it costs; everybody asks again at once."""
    order = []
    for number in range(count):
        turn = turns.next()
        assert turn is not None
        owner, _ = turn
        order.append(owner)
        turns.put(owner, f"{owner} {number}", "")
        turns.spent(owner, cost[owner])
    return order


def test_who_sends_what_takes_long_has_fewer_turns() -> None:
    turns: FairShare[str] = FairShare()
    for number in range(100):
        turns.put("bomber", f"bomb {number}", "")
    turns.put("honest", "a", "")
    order = served(turns, {"bomber": 20.0, "honest": 1.0}, 43)
    assert order.count("bomber") == 3
    assert order[:2] == ["bomber", "honest"]


def test_jobs_of_one_come_in_order_and_of_one_key_once() -> None:
    turns: FairShare[str] = FairShare()
    for key, job in (("a", "first"), ("b", "second"), ("a", "third")):
        turns.put("", key, job)
    assert [turns.next(), turns.next(), turns.next()] == [("", "third"), ("", "second"), None]
    turns.put("", "a", "fourth")
    assert turns.next() == ("", "fourth")


def test_time_is_not_saved_up() -> None:
    turns: FairShare[str] = FairShare()
    turns.put("early", "a", "")
    served(turns, {"early": 1.0}, 50)
    turns.put("late", "a", "")
    assert served(turns, {"early": 1.0, "late": 1.0}, 20).count("late") <= 11


def test_who_comes_and_goes_is_not_remembered() -> None:
    turns: FairShare[str] = FairShare()
    for number in range(1000):
        turns.put(f"sender {number}", "a", "")
        turn = turns.next()
        assert turn is not None
        turns.spent(turn[0], 1.0)
        assert turns.next() is None
        assert not turns._had


def test_who_goes_and_comes_back_at_once_pays_all_the_same() -> None:
    turns: FairShare[str] = FairShare()
    turns.put("honest", "a", "")
    order = []
    for _ in range(44):
        turns.put("bomber", "a", "")
        turns.put("honest", "a", "")
        turn = turns.next()
        assert turn is not None
        order.append(turn[0])
        turns.spent(turn[0], {"bomber": 20.0, "honest": 1.0}[turn[0]])
    assert order.count("bomber") <= 3
