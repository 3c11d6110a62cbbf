"""The parts of the demo: the filmstrip, the bad arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream import Decoder, default_model, load_picture, save_png
from examples import demo
from examples.filmstrip import NARROWEST, WIDEST, Frame, filmstrip, milestones


def test_milestones_are_in_constant_ratio() -> None:
    assert milestones(25_600) == [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]
    assert milestones(1_000_000)[::7] == [200, 1_000_000]
    assert milestones(50) == [50]
    assert milestones(203) == [200, 201, 202, 203]


def frame(height: int, width: int, *, nbytes: int = 1234) -> Frame:
    pixels: NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
    pixels[:] = (200, 40, 10)
    return Frame(
        picture=pixels, observation=255 - pixels, bytes=nbytes, bpp=0.1234, psnr=float("inf")
    )


def places(strip: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[int, ...]:
    """(top, bottom, left, right) of where ``colour`` is, and how many pixels of it."""
    rows, columns = np.nonzero(np.all(strip == np.array(colour, np.uint8), axis=2))
    return (*map(int, (rows.min(), rows.max(), columns.min(), columns.max())), rows.size)


def test_a_filmstrip_shows_pictures_above_their_observations() -> None:
    strip = filmstrip([frame(100, 300), frame(100, 300)], title="a title")
    assert strip.dtype == np.uint8
    above = places(strip, (200, 40, 10))
    below = places(strip, (55, 215, 245))
    assert above[1] < below[0]
    assert above[2:] == below[2:]
    assert above[1] - above[0] == 99
    assert above[4] == 2 * 100 * 300


def test_no_text_is_cut_off() -> None:
    for title in (
        "t",
        "a longer title than any one column is wide, or even two of them are, or three",
    ):
        strip = filmstrip([frame(20, 30)], title=title)
        assert np.all(strip[:, -10:] == strip[0, 0])


def test_a_label_changes_only_what_is_above_its_picture() -> None:
    one = filmstrip([frame(100, 300), frame(100, 300, nbytes=9)], title="a title")
    other = filmstrip([frame(100, 300), frame(100, 300, nbytes=77_777)], title="a title")
    rows, columns = np.nonzero((one != other).any(axis=2))
    assert rows.size
    assert rows.max() < places(one, (200, 40, 10))[0]
    assert columns.min() > 300


@pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (5000, 3), (40, 30), (3000, 4000), (95, 95)])
def test_any_size_of_picture_is_shown_with_room_for_its_label(shape: tuple[int, int]) -> None:
    strip = filmstrip([frame(*shape)], title="t")
    top, bottom, left, right, count = places(strip, (200, 40, 10))
    assert count == (bottom - top + 1) * (right - left + 1)
    assert right - left < WIDEST
    assert strip.shape[1] >= NARROWEST
    assert strip.shape[0] < 1400


def test_bad_arguments_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.main(["--image", str(tmp_path / "gone.jpg")]) == 4
    (tmp_path / "notes.txt").write_text("dear diary")
    assert demo.main(["--image", str(tmp_path / "notes.txt")]) == 4
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert demo.main([]) == 4
    save_png(tmp_path / "photo.png", np.zeros((4, 4, 3), np.uint8))
    out = str(tmp_path / "notes.txt" / "demo")
    assert demo.main(["--image", str(tmp_path / "photo.png"), "--out", out]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.partition(":")[0] for line in told.err.splitlines()] == 4 * ["demo"]


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "fast"])
def test_rates_that_no_link_has(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--rate", text])
    assert f"{text} is not a number above 0" in capsys.readouterr().err


def test_the_default_photo_is_found_without_importing_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "skimage"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError")
    (package / "data" / "coffee.png").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert demo.default_photo() == package / "data" / "coffee.png"


@pytest.mark.parametrize(
    ("name", "offered"),
    [("my photo.JPG", "photo.jpg"), ("x.png", "photo.png"), ("#?%.ppm", "photo.png")],
)
def test_photos_are_offered_under_plain_names(tmp_path: Path, name: str, offered: str) -> None:
    photo, folder = tmp_path / name, tmp_path / "offered"
    folder.mkdir()
    photo.write_bytes(b"P6 2 1 255\n123456")
    assert demo.offered(photo, folder) == offered
    assert np.array_equal(load_picture(folder / offered), load_picture(photo))


@pytest.mark.parametrize("easy", [False, True])
def test_a_photo_is_streamed_between_two_processes(
    easy: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Up to the target, or to top quality, which a picture of one colour reaches before."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    save_png(tmp_path / "photo.png", np.full_like(pixels, 90) if easy else pixels)
    arguments = ["--image", str(tmp_path / "photo.png"), "--out", str(tmp_path / "out")]
    assert demo.main([*arguments, "--rate", "1000000"]) == 0
    told = capfd.readouterr()
    assert told.err == ""
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["filmstrip.png", "photo.dfc"]
    received = (tmp_path / "out" / "photo.dfc").read_bytes()
    assert (len(received) < 300) if easy else (len(received) == 300)
    *_, table, _, _, viewer = told.out.splitlines()
    assert table.split()[0] == str(len(received))
    assert viewer == "to watch it in a browser: make view RATE=1e+06"
    decoder = Decoder([default_model()])
    decoder.feed(received)
    assert decoder.render().image.shape == (40, 60, 3)
    assert load_picture(tmp_path / "out" / "filmstrip.png").ndim == 3
