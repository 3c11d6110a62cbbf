"""``diffc inspect --plot``: what a stream spends, drawn."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from sources import long_stream, stream

from diffc_stream import cli
from diffc_stream.cli import plot
from diffc_stream.container import Header, Kind, Step, StreamReader
from diffc_stream.errors import MissingPackage


def records(data: bytes) -> tuple[Header, list[tuple[Kind, int]]]:
    reader, steps = StreamReader(), list[tuple[Kind, int]]()
    for event in reader.feed(data):
        if isinstance(event, Step):
            steps.append((event.kind, reader.began))
    assert reader.header is not None
    return reader.header, steps


def test_every_byte_after_the_header_is_spent_by_a_step_of_an_octave() -> None:
    data = long_stream()
    header, steps = records(data)
    spent = plot.spent(header, steps, len(data))
    assert spent[0].begin == len(header.encode())
    assert spent[-1].end == len(data)
    for one, other in pairwise(spent):
        assert one.end == other.begin
        assert other.octave == one.octave - (other.kind is Kind.OPEN)
    # Of a picture of 128 x 128, four octaves, and all of them have been opened.
    assert {step.octave for step in spent} == {3, 2, 1, 0}


def test_what_was_foreseen_and_what_is_known_in_hindsight() -> None:
    data = stream()
    foreseen, hindsight = plot.predicted(data)
    assert [point[0] for point in foreseen] == [point[0] for point in hindsight]
    assert foreseen[-1][0] <= len(data)
    # Nothing follows that would know better.
    assert foreseen[-1][1] == pytest.approx(hindsight[-1][1], abs=0.5)
    assert foreseen != hindsight
    assert all(0 < psnr < 60 for _, psnr in [*foreseen, *hindsight])
    # From the beginning alone the same is foreseen: no byte that came later was looked at.
    begun, _ = plot.predicted(data[: foreseen[3][0]])
    assert begun == foreseen[:4]


TRUE = [(300, 20.0), (1500, 24.0)]
"""PSNR of prefixes."""


@pytest.mark.parametrize(
    ("suffix", "true"),
    [(".svg", []), (".svg", TRUE), (".png", TRUE), (".pdf", [])],
)
def test_a_plot_is_written_the_same_each_time(
    suffix: str, true: list[plot.Point], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    data, out, again = stream(), tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    header, steps = records(data)
    for path in (out, again):
        plot.draw(path, "name.dfc", header, steps, data, true)
    assert out.read_bytes() == again.read_bytes()
    if suffix == ".png":
        with Image.open(out) as picture:
            assert picture.width > 1000
    if suffix == ".svg":
        assert ("<!-- true -->" in out.read_text()) == bool(true)


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path, out = tmp_path / "a$^$.dfc", tmp_path / "out.svg"
    path.write_bytes(stream())
    assert cli.main(["inspect", str(path), "--plot", str(out)]) == 0


@pytest.mark.parametrize("length", [14, 40, 200])
def test_the_shortest_streams_are_drawn_too(length: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path, out = tmp_path / "short.dfc", tmp_path / "short.png"
    path.write_bytes(stream()[:length])
    assert cli.main(["inspect", str(path), "--plot", str(out)]) == 0
    assert out.exists()


def test_another_ending_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["inspect", "x.dfc", "--plot", str(tmp_path / "out.jpg")])
    assert "ends with none of .svg, .png, .pdf" in capsys.readouterr().err


def test_what_to_install_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = tmp_path / "stream.dfc"
    path.write_bytes(stream())
    assert cli.main(["inspect", str(path), "--plot", str(tmp_path / "out.svg")]) == 1
    assert capsys.readouterr().err == "diffc: plots need pip install 'diffc-stream[plot]'\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["stream.dfc"]
    with pytest.raises(MissingPackage):
        plot.require()
