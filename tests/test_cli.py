"""The command: files in, files out, one line and an exit code when something is wrong."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command import photo, run, weights
from PIL import Image

from diffc_stream import cli
from diffc_stream.cli import bench
from diffc_stream.container import Facts, Metadata, Place
from diffc_stream.formats import save_picture
from diffc_stream.picture import load_photograph, load_picture

__all__ = ["photo", "weights"]
Capture = pytest.CaptureFixture[str]


def test_there_and_back(photo: Path, tmp_path: Path, weights: Path, capsys: Capture) -> None:
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    assert run("encode", photo, stream, "--bytes", 500, "--json", weights=weights) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == stream.stat().st_size <= 500
    assert set(report) == {
        *("bytes", "bpp", "psnr", "steps", "evaluations", "ideal_bits", "state_noise"),
        *("side_information_bytes", "seconds", "rcc_seconds", "reference"),
    }
    assert run("decode", stream, out, "--json", weights=weights) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["bytes"], facts["render"], facts["warning"]) == (report["bytes"], "mmse", None)
    assert load_picture(out).shape == (48, 40, 3)
    assert run("decode", stream, out, "--json", "--symmetries", 1, weights=weights) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"] < facts["evaluations"]


@pytest.mark.parametrize("simulator", ["trellis", "dither"])
def test_the_simulator_can_be_chosen_and_is_listed(
    simulator: str, photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    if simulator != "trellis":
        pytest.importorskip("constriction")
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    options = ("--bytes", 600, "--simulator", simulator)
    assert run("encode", photo, stream, *options, weights=weights) == 0
    assert run("decode", stream, out, weights=weights) == 0
    capsys.readouterr()
    assert run("inspect", stream, "--json", weights=weights) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert {step["simulator"] for step in steps} == {simulator}


def test_a_simulator_that_needs_another_package_says_which(
    photo: Path,
    tmp_path: Path,
    weights: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    out = tmp_path / "photo.dfc"
    options = ("--bytes", 600, "--simulator", "dither")
    assert run("encode", photo, out, *options, weights=weights) == 1
    assert "pip install 'diffc-stream[exact]'" in capsys.readouterr().err
    assert not out.exists()


def test_an_exact_copy_has_no_psnr_in_json(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    black, stream = tmp_path / "black.png", tmp_path / "black.dfc"
    Image.new("RGB", (1, 1)).save(black)
    assert run("encode", black, stream, "--json", weights=weights) == 0
    assert run("inspect", stream, "--original", black, "--json", weights=weights) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for line in capsys.readouterr().out.splitlines():
        json.loads(line, parse_constant=refuse)


def test_bpp_is_of_the_pictures_own_pixels(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    assert run("encode", photo, tmp_path / "a.dfc", "--bpp", 2, "--json", weights=weights) == 0
    assert 1.9 < json.loads(capsys.readouterr().out)["bpp"] <= 2


def test_pngs_say_what_they_are(photo: Path, tmp_path: Path, weights: Path) -> None:
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    assert run("decode", stream, out, "--render", "flow", weights=weights) == 0
    with Image.open(out) as image:
        assert image.info["diffc-render"] == "flow"
        assert image.info["diffc-bytes"] == str(stream.stat().st_size)
        assert "synthesised" in image.info["Comment"]


def test_how_a_picture_was_taken_comes_out_again(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    taken = Metadata(
        time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        place=Place(latitude=-33.8567844, longitude=151.2152967),
        camera="NIKON D850",
        description="[bold]A hill",
    )
    save_picture(photo, load_picture(photo), metadata=taken)
    stream = tmp_path / "photo.dfc"
    for option, facts in (
        ((), "time,camera,description"),
        (("--metadata", "all"), "all"),
        (("--metadata", "place"), "place"),
        (("--metadata", "none"), "none"),
    ):
        assert run("encode", photo, stream, "--bytes", 1000, *option, weights=weights) == 0
        known = taken.only(Facts.named(facts))
        capsys.readouterr()
        assert run("inspect", stream, "--json", weights=weights) == 0
        listed = json.loads(capsys.readouterr().out)
        assert listed["metadata"] == known.facts()
        assert listed["version"] == (3 if known else 1)
        assert run("inspect", stream, weights=weights) == 0
        assert ("description: [bold]A hill\n" in capsys.readouterr().out) == bool(known.description)
        for name in ("out.png", "out.jpg"):
            assert run("decode", stream, tmp_path / name, weights=weights) == 0
            assert load_photograph(tmp_path / name)[1] == known
    with pytest.raises(SystemExit):
        run("encode", photo, stream, "--metadata", "face", weights=weights)
    assert "'face' is not all, none or of time" in capsys.readouterr().err


def test_the_dial(photo: Path, tmp_path: Path, weights: Path, capsys: Capture) -> None:
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    capsys.readouterr()
    assert run("decode", stream, out, "--realism", 0.5, "--json", weights=weights) == 0
    assert json.loads(capsys.readouterr().out)["render"] == 0.5
    with Image.open(out) as image:
        assert image.info["diffc-render"] == "realism 0.5"
        assert "synthesised" in image.info["Comment"]


@pytest.mark.parametrize("options", [("--realism", 1.5), ("--realism", 0.5, "--render", "flow")])
def test_impossible_dials_are_refused(
    tmp_path: Path, weights: Path, options: tuple[object, ...]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("decode", tmp_path / "a.dfc", tmp_path / "a.png", *options, weights=weights)


def test_a_prefix_decodes_and_too_little_is_exit_code_3_and_no_file(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    run("encode", photo, stream, "--bytes", 400, weights=weights)
    codes = []
    for size in range(1, 60):
        codes.append(run("decode", stream, out, "--max-bytes", size, weights=weights))
        assert out.exists() == (codes[-1] == 0)
        out.unlink(missing_ok=True)
    assert set(codes) == {0, 3}
    assert codes == sorted(codes, reverse=True)
    assert "Traceback" not in capsys.readouterr().err


def test_a_stream_is_extended_in_place_or_beside(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    whole, stream, beside = (tmp_path / name for name in ("whole.dfc", "photo.dfc", "more.dfc"))
    seed = ("--seed", 9)
    assert run("encode", photo, whole, "--bytes", 900, "--json", *seed, weights=weights) == 0
    expected = json.loads(capsys.readouterr().out)
    for size in (20, 333, 600):
        stream.write_bytes(whole.read_bytes()[:size])
        for out in (beside, stream):
            more = ("--extend", stream, "--bytes", 900, "--json")
            assert run("encode", photo, out, *more, weights=weights) == 0
            report = json.loads(capsys.readouterr().out)
            assert out.read_bytes() == whole.read_bytes()
            for name in ("bytes", "psnr", "steps", "side_information_bytes"):
                assert report[name] == expected[name]


def test_what_cannot_be_extended_is_one_line_and_no_file(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream, out, other = tmp_path / "photo.dfc", tmp_path / "out.dfc", tmp_path / "other.png"
    run("encode", photo, stream, "--bytes", 700, weights=weights)
    data = stream.read_bytes()
    with Image.open(photo) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png")
        image.point([255 - i for i in range(256)] * 3).save(other)
    damaged = bytearray(data)
    damaged[100] ^= 1
    capsys.readouterr()
    for held, picture, more, code, says in (
        (data, photo, ("--bytes", 700), 2, "not beyond the 700 that are there"),
        (data, photo, ("--bpp", 0.1), 2, "not beyond the 700 that are there"),
        (data, photo, ("--seed", 1), 5, "of the seed 0, not 1"),
        (data, tmp_path / "turned.png", (), 5, "of a picture of 40x48, not 48x40"),
        (data, other, (), 5, "of another picture"),
        (bytes(damaged), photo, (), 5, "a check failed"),
        (b"GIF89a", photo, (), 5, "not a .dfc stream"),
        (data[:9], photo, (), 3, "ends within its header"),
    ):
        stream.write_bytes(held)
        for target in (stream, out):
            options = ("--extend", stream, *more)
            assert run("encode", picture, target, *options, weights=weights) == code
            [line] = capsys.readouterr().err.splitlines()
            assert line.startswith("diffc: ")
            assert says in line
            assert stream.read_bytes() == held
    # Made with a model that is not at hand.
    stream.write_bytes(data)
    assert cli.main(["encode", str(photo), str(stream), "--extend", str(stream)]) == 6
    assert "needs the model" in capsys.readouterr().err
    names = ["other.png", "photo.dfc", "photo.png", "turned.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_smaller_pictures(photo: Path, tmp_path: Path, weights: Path) -> None:
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    assert run("decode", stream, out, "--max-side", 24, weights=weights) == 0
    assert load_picture(out).shape == (24, 20, 3)


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 3), (b"DFC", 3), (b"GIF89a....", 5), (b"DFC\x09" + bytes(40), 5)]
)
def test_files_that_are_no_streams(
    content: bytes, code: int, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream, out = tmp_path / "bad.dfc", tmp_path / "out.png"
    stream.write_bytes(content)
    for command in (("decode", stream, out), ("inspect", stream)):
        assert run(*command, weights=weights) == code
        error = capsys.readouterr().err
        assert error.startswith("diffc: ")
        assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("command", [["--help"], ["decode", "--help"], ["models"]])
def test_what_computes_nothing_loads_nothing_that_could(command: list[str]) -> None:
    script = (
        "import atexit, sys; from diffc_stream import cli;"
        "atexit.register(lambda: print({'onnxruntime', 'torch'} & {*sys.modules}));"
        f"cli.main({command})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(("name", "code"), [("missing.png", 4), ("text.png", 4), ("folder", 4)])
def test_inputs_that_are_no_pictures_leave_nothing_behind(
    name: str, code: int, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    assert run("encode", tmp_path / name, tmp_path / "out.dfc", weights=weights) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [[], ["encode"], ["encode", "a", "b", "--bpp", "0"], ["encode", "a", "b", "--seed", "-1"]],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["encode", "decode", "inspect", "models"])
def test_help_teaches(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "example" in shown
    assert "exit codes:" in shown


def test_bench_without_its_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr(bench, "import_module", absent)
    assert cli.main(["bench", "rd", "--images", "."]) == 1
    assert capsys.readouterr().err == (
        "diffc: matplotlib is not installed: pip install 'diffc-stream[bench]'\n"
    )


def test_bench_knows_its_benchmarks(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as error:
        cli.main(["bench", "nothing"])
    assert error.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_streams_of_larger_pictures_than_allowed_are_refused(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream = tmp_path / "a.dfc"
    assert run("encode", photo, stream, "--bytes", 300, weights=weights) == 0
    for command in (("decode", stream, tmp_path / "a.png"), ("inspect", stream)):
        more = ("--original", photo) if command[0] == "inspect" else ()
        assert run(*command, *more, "--max-pixels", 100, weights=weights) == 4
        assert "more than the limit of 100 pixels" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
