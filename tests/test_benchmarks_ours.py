"""One stream, cut: on white noise, whose denoiser is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sources import independent

from diffc_benchmarks import ours
from diffc_benchmarks.ours import DIAL, Streamed, Task, streamed
from diffc_stream.codec import Decoder
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture, save_png

RATES = (0.1, 0.4, 1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ours")


@pytest.fixture(scope="module")
def result(folder: Path) -> Streamed:
    noise = np.random.default_rng(5).integers(64, 192, (72, 64, 3), dtype=np.uint8)
    save_png(folder / "noise.png", noise)
    return streamed(
        Task(
            path=folder / "noise.png", model=independent, rates=RATES, streams=folder, shown=folder
        )
    )


def test_all_renderings_within_the_bytes(result: Streamed) -> None:
    dial = [f"dial {position:g}" for position in DIAL]
    shown = {rate: [p.rendering for p in result.points if p.rate == rate] for rate in RATES}
    assert shown[0.1] == shown[0.4] == ["mmse", "mmse x2", "flow", *dial, "ancestral"]
    assert shown[1.0] == ["mmse", "mmse x2", "flow"]
    assert all(point.bytes <= point.rate * 72 * 64 / 8 for point in result.points)


def test_rates_are_prefixes_of_one_file(result: Streamed, folder: Path) -> None:
    stream = (folder / "noise.png.dfc").read_bytes()
    original = load_picture(folder / "noise.png")
    assert len(stream) == result.report.bytes
    for point in result.points:
        if point.rendering == "mmse":
            decoder = Decoder([independent()])
            decoder.feed(stream[: point.bytes])
            assert psnr(decoder.render().image, original) == pytest.approx(point.quality.psnr)


def test_figures_are_those_of_what_is_shown(result: Streamed, folder: Path) -> None:
    original = load_picture(folder / "noise.png")
    for point in result.points:
        image = np.load(folder / point.shown)
        assert image.shape == original.shape
        assert psnr(image, original) == point.quality.psnr
        assert point.evaluations >= 0


def test_the_dial_is_monotone_in_psnr(result: Streamed) -> None:
    points = {p.rendering: p.quality.psnr for p in result.points if p.rate == 0.4}
    values = [points[name] for name in ("mmse", *(f"dial {p:g}" for p in DIAL), "flow")]
    assert values == sorted(values, reverse=True)


def test_the_dial_is_that_of_the_decoder(result: Streamed, folder: Path) -> None:
    (point,) = [p for p in result.points if (p.rate, p.rendering) == (0.4, "dial 0.5")]
    decoder = Decoder([independent()])
    decoder.feed((folder / "noise.png.dfc").read_bytes()[: point.bytes])
    difference = np.load(folder / point.shown).astype(int) - decoder.render(0.5).image
    # Blending what has been clipped to 8 bits is not quite clipping what has been blended.
    assert np.abs(difference).mean() < 1


def test_pooled_distance_of_arrays(result: Streamed, folder: Path) -> None:
    shown = [folder / p.shown for p in result.points if (p.rate, p.rendering) == (1.0, "mmse")]
    assert 0 < ours.pooled(([folder / "noise.png"], shown)) < 1
