"""What the JavaScript receiver is tested against is what the Python one gives."""

import json
from typing import Any

import pytest
from vectors import javascript

from diffc_stream.container import Step, StreamReader

STORED = json.loads(javascript.RECEIVER.read_text())
DATA = {stream["name"]: bytes.fromhex(stream["data"]) for stream in STORED["streams"]}
STARTED = {
    stream["name"]: (bytes.fromhex(stream["data"]), [*map(bytes.fromhex, stream["files"])])
    for stream in STORED["started"]
}
PICTURED = ("streams", "broadcasts", "started")
COMMAND = "python tests/vectors/javascript.py"


@pytest.fixture(scope="module")
def current() -> dict[str, Any]:
    # By way of text, as the other end sees it.
    facts: dict[str, Any] = json.loads(
        json.dumps(javascript.receiver(DATA, STARTED, STORED["others"]))
    )
    return facts


@pytest.mark.parametrize("part", [part for part in STORED if part not in PICTURED])
def test_the_vectors_are_current(part: str, current: dict[str, Any]) -> None:
    # They are written to six places, and another machine's matrix products may round the last one
    # the other way.
    assert same(STORED[part], current[part], 2.5e-6), f"run {COMMAND}"


@pytest.mark.parametrize(
    ("part", "place"), [(part, place) for part in PICTURED for place in range(len(STORED[part]))]
)
def test_the_pictures_are_current(part: str, place: int, current: dict[str, Any]) -> None:
    # Another torch may round a value to the next.
    assert same(STORED[part][place], current[part][place], 1.0), f"run {COMMAND}"


def test_the_other_simulators_are_those_that_they_are_called() -> None:
    for name, data in STORED["others"].items():
        reader = StreamReader()
        steps = [event for event in reader.feed(bytes.fromhex(data)) if isinstance(event, Step)]
        assert {step.simulator.name.lower() for step in steps} == {name}


def test_what_devices_are_checked_against_is_current() -> None:
    stored, now = (golden(text) for text in (javascript.GOLDEN.read_text(), javascript.golden()))
    assert stored["values"].keys() == now["values"].keys(), f"run {COMMAND}"
    assert same(stored, now, 1e-4), f"run {COMMAND}"


def golden(text: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(text[text.index("= {") + 2 : text.rindex(";")])
    return facts


def same(stored: Any, now: Any, tolerance: float) -> bool:
    """Tell whether two values from JSON agree, numbers that are no integers within a tolerance."""
    if isinstance(stored, dict):
        return stored.keys() == now.keys() and all(
            same(value, now[key], tolerance) for key, value in stored.items()
        )
    if isinstance(stored, list):
        return len(stored) == len(now) and all(
            same(a, b, tolerance) for a, b in zip(stored, now, strict=True)
        )
    if isinstance(stored, float) or (isinstance(stored, int) and tolerance == 1.0):
        return bool(abs(stored - now) <= tolerance)
    return bool(stored == now)
