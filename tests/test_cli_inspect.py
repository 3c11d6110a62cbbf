"""``diffc inspect``, and what is said of streams that are damaged."""

import json
from pathlib import Path

import pytest
from command import photo, run, weights

from diffc_stream.container.reader import checked
from diffc_stream.diffusion.model import load_model

__all__ = ["photo", "weights"]
Capture = pytest.CaptureFixture[str]


def test_inspect_lists_the_steps_and_compares_with_the_original(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream = tmp_path / "photo.dfc"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    capsys.readouterr()
    assert run("inspect", stream, "--json", "--original", photo, weights=weights) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["height"]) == (40, 48)
    assert facts["model"] == load_model(weights).fingerprint
    assert facts["bytes"] == stream.stat().st_size == 300
    assert facts["verified_bytes"] == 13  # the header: no check was due yet
    assert [step["kind"] for step in facts["steps"]].count("open") >= 1
    assert facts["quality"][-1]["bytes"] == facts["bytes"]
    assert {"psnr", "predicted_psnr", "bpp"} <= set(facts["quality"][0])
    assert run("inspect", stream, weights=weights) == 0
    assert "refine" in capsys.readouterr().out


def test_damage_is_a_warning_and_the_rest_is_left_or_used(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    run("encode", photo, stream, "--bytes", 2500, weights=weights)
    data = bytearray(stream.read_bytes())
    data[2000] ^= 4
    stream.write_bytes(data)
    capsys.readouterr()
    assert run("decode", stream, out, "--json", weights=weights) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("diffc: warning:")
    assert captured.err.count("\n") == 1
    assert 900 < json.loads(captured.out)["bytes"] < 2000
    assert run("inspect", stream, "--original", photo, "--json", weights=weights) == 0
    facts = json.loads(capsys.readouterr().out)
    assert "check failed" in facts["problem"]
    assert facts["quality"][-1]["bytes"] == facts["verified_bytes"] < 2000
    assert run("decode", stream, out, "--damaged", "--json", weights=weights) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["bytes"], facts["failed_checks"]) == (len(data), 1)


def test_steps_that_cannot_be_are_damage_like_any_other(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream, out, good = tmp_path / "photo.dfc", tmp_path / "out.png", tmp_path / "good.png"
    run("encode", photo, stream, "--bytes", 2500, weights=weights)
    before = checked(stream.read_bytes())
    assert 900 < len(before) < 2500
    stream.write_bytes(before)
    assert run("decode", stream, good, weights=weights) == 0
    for step in (b"\x50", b"\x5f"):  # the grammar has them, but all octaves are open by now
        stream.write_bytes(before + step + bytes(200))
        capsys.readouterr()
        assert run("decode", stream, out, "--json", weights=weights) == 0
        captured = capsys.readouterr()
        facts = json.loads(captured.out)
        assert facts["bytes"] == len(before)
        assert "no finer octave to open" in facts["warning"]
        assert captured.err == f"diffc: warning: {stream}: {facts['warning']}\n"
        assert out.read_bytes() == good.read_bytes()
