"""The whole benchmark, on the smallest of steps and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sources import model, picture

from diffc_benchmarks import channel_simulation
from diffc_benchmarks.channel_simulation import chained, main, rows
from diffc_benchmarks.closed_loop import IDEAL, PUBLISHED, TRELLIS, Cell, Contender
from diffc_stream import cli
from diffc_stream.channel.trellis import Trellis
from diffc_stream.codec import Schedule
from diffc_stream.picture import save_png

Capture = pytest.CaptureFixture[str]

TINY = Cell(bits=16, dims=64, steps=2, seeds=2)
STANDS_IN = Contender(PUBLISHED.name, Trellis(), candidates=7, seeds=1)
"""For the published parameters, which take long."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(channel_simulation, "QUICK", (TINY,))
    monkeypatch.setattr(channel_simulation, "CONTENDERS", (IDEAL, TRELLIS, STANDS_IN))
    monkeypatch.setattr(channel_simulation, "default_model", model)
    save_png(tmp_path / "a.png", picture())
    return tmp_path


def test_rows_are_means() -> None:
    chains, curves, notes = chained([TINY], [IDEAL, TRELLIS], jobs=1)
    assert notes == []
    assert (len(chains), len(curves)) == (4, 2)
    ideal, trellis = rows(chains, curves)
    assert (ideal.simulator, ideal.chains, trellis.simulator) == ("ideal", 2, "trellis")
    assert trellis.bits == 16
    assert ideal.bits == pytest.approx(16, rel=1e-3)
    assert ideal.encoder_seconds == 0 < trellis.encoder_seconds
    assert trellis.published_time is None
    assert trellis.bound == pytest.approx((16 + 4.087 + 5) / 16, abs=0.001)
    bits = [chain.bits / chain.ideal_bits for chain in chains if chain.contender == "trellis"]
    assert trellis.over_ideal_bits[0] == pytest.approx(sum(bits) / 2)
    assert trellis.over_ideal_bits[1] == pytest.approx(abs(bits[0] - bits[1]) / 2)


def test_tables_on_standard_output_and_json_in_a_file(tiny: Path, capsys: Capture) -> None:
    file = tiny / "record.json"
    assert main(["--quick", "--jobs", "1", "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "| 16 bits | 64 | 2 | trellis | 2 | 16.0 |" in shown
    record = json.loads(file.read_text())
    assert {row["simulator"] for row in record["rows"]} == {"ideal", "trellis", "published"}
    assert record["commit"]
    assert record["machine"]
    assert len(record["chains"]) == 5


def test_json_on_standard_output_with_pictures(
    tiny: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--no-chains", "--images", str(tiny), "--growth", "1.4", "--jobs", "1", "--json"]
    assert main(given) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["rows"] == []
    assert [entry["image"] for entry in record["pictures"]] == ["a.png"]
    assert {entry["growth"] for entry in record["pictures"][0]["streams"]} == {
        Schedule().growth,
        1.4,
    }


def test_pictures_in_tables(tiny: Path, capsys: Capture) -> None:
    assert main(["--no-chains", "--images", str(tiny), "--jobs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "| 1.25 | **mean** |" in shown
    assert "| a.png | " in shown
    assert "1,000 B" in shown


def test_from_the_command_line(tiny: Path, capsys: Capture) -> None:
    assert cli.main(["bench", "rcc", "--quick", "--bits", "999"]) == 0
    assert capsys.readouterr().out.startswith("Commit ")


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_pictures_is_one_line(
    folder: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["--quick", "--images", str(tmp_path / folder)]) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith("channel_simulation: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "wrong", [["--growth", "1"], ["--every", "0"], ["--jobs", "x"], ["--bits"]]
)
def test_wrong_arguments(wrong: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as error:
        main(wrong)
    assert error.value.code == 2
    assert wrong[0] in capsys.readouterr().err
