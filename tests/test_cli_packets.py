"""``diffc send-packets`` and ``diffc receive-packets``."""

import json
import sys
from pathlib import Path

import pytest
from sources import LARGE, collection, long_stream, model

from diffc_stream.cli import main
from diffc_stream.diffusion.collection import Collection

MODELS = collection(model(LARGE))


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the stream, whose model is at hand."""
    monkeypatch.setattr(Collection, "at_hand", lambda *_: MODELS)
    (tmp_path / "picture.dfc").write_bytes(long_stream())
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_a_folder_there_and_back(sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream, box, out = sent / "picture.dfc", sent / "box", sent / "out.png"
    code, said, _ = run(capsys, "send-packets", stream, box, "--budget", 2000, "--json")
    facts = json.loads(said)
    assert (code, facts["packets"]) == (0, 10)
    (box / "000005.packet").unlink()
    kept = sent / "kept.dfc"
    code, said, _ = run(capsys, "receive-packets", box, out, "--json", "--stream", kept)
    shown = json.loads(said.splitlines()[-1])
    assert (code, shown["missing"], shown["complete"]) == (0, 1, False)
    assert out.stat().st_size > 1000
    assert not kept.exists()
    assert run(capsys, "send-packets", stream, box, "--budget", 2000)[0] == 0
    code, said, _ = run(
        capsys, "receive-packets", box, out, "--stream", kept, "--wanted", facts["stream"]
    )
    assert (code, kept.read_bytes()) == (0, long_stream()[: facts["stream_bytes"]])
    assert "0 of 7 pieces missing" in said


def test_it_may_have_no_standard_output(sent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, box, out = sent / "picture.dfc", sent / "box", sent / "out.png"
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["send-packets", str(stream), str(box)]) == 0
    assert main(["receive-packets", str(box), str(out)]) == 0
    assert out.stat().st_size > 1000


def test_what_cannot_be(sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream, empty, out = sent / "picture.dfc", sent / "empty", sent / "out.png"
    empty.mkdir()
    code, _, said = run(capsys, "receive-packets", empty, out)
    assert (code, said.count("\n")) == (3, 1)
    assert "no picture has arrived" in said
    code, _, said = run(capsys, "send-packets", stream, empty, "--duty", 1)
    assert (code, said) == (2, "diffc: --duty needs --air-rate: how fast the radio sends\n")
    code, _, said = run(capsys, "receive-packets", sent / "missing", out)
    assert (code, said.count("\n")) == (1, 1)
    with pytest.raises(SystemExit):
        main(["receive-packets", "-", "out.png", "--wanted", "12345"])
