"""What the JavaScript receiver of clips is tested against is what the Python one gives."""

import json
from typing import Any

import pytest
from vectors import clips

STORED = json.loads(clips.CLIPS.read_text())
COMMAND = "python tests/vectors/clips.py"


@pytest.fixture(scope="module")
def current() -> dict[str, Any]:
    # By way of text, as the other end sees it.
    facts: dict[str, Any] = json.loads(json.dumps(clips.clips(bytes.fromhex(STORED["stream"]))))
    return facts


@pytest.mark.parametrize("part", ["every", "headers", "stream", "records"])
def test_the_vectors_are_current(part: str, current: dict[str, Any]) -> None:
    assert STORED[part] == current[part], f"run {COMMAND}"


def test_the_motions_are_current(current: dict[str, Any]) -> None:
    for stored, now in zip(STORED["motions"], current["motions"], strict=True):
        assert stored.pop("moved") == pytest.approx(now.pop("moved"), abs=2.5e-6), f"run {COMMAND}"
        assert stored == now, f"run {COMMAND}"


def test_the_pictures_are_current(current: dict[str, Any]) -> None:
    for stored, now in zip(STORED["prefixes"], current["prefixes"], strict=True):
        # Another machine may round a value to the next.
        for before, after in zip(stored.pop("pictures", []), now.pop("pictures", []), strict=True):
            assert before == pytest.approx(after, abs=1), f"run {COMMAND}"
        assert stored == pytest.approx(now), f"run {COMMAND}"


def test_the_stream_has_all_kinds_of_records() -> None:
    kinds = {
        (one["type"], one.get("source"), one.get("earlier"), one.get("later"))
        for one in STORED["records"]
    }
    motions = {("motion", source, None, None) for source in (0, 1)}
    seconds = {("second", None, *used) for used in ((True, False), (True, True), (False, True))}
    assert motions | seconds < kinds
