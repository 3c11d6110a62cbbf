"""The command `benchmarks.load`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from diffc_benchmarks import load


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    report("counting")
    return {"frames": {"asked": 15_000, "got": 20_000.5}, "equal": True, "rounds": [1, 2.5]}


@pytest.fixture
def section(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("load_frames")
    module.measure = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "diffc_benchmarks.load_frames", module)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["load", *arguments])
    load.main()


@pytest.mark.usefixtures("section")
def test_one_object_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--sections", "frames", "--json")
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "frames": {"frames": {"asked": 15_000, "got": 20_000.5}, "equal": True, "rounds": [1, 2.5]}
    }
    assert said.err == "frames: counting\n"


@pytest.mark.usefixtures("section")
def test_a_table_of_what_was_asked_and_got(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    run(monkeypatch, "--sections", "frames")
    rows = [line.strip("│ ").split() for line in capsys.readouterr().out.splitlines()]
    cells = [[cell for cell in row if cell != "│"] for row in rows]
    assert ["frames", "frames", "15,000", "20,000"] in cells
    assert ["frames", "equal", "yes"] in cells
    assert ["frames", "rounds", "1,", "2.5"] in cells


def test_an_unknown_section_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--sections", "frames,cakes")
    assert "there is no section 'cakes', only idle, downloads, " in capsys.readouterr().err
