"""The benchmark of fixed cameras: its sequences, and its figures."""

from __future__ import annotations

import json
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sources import by_scale

from diffc_benchmarks import cameras
from diffc_benchmarks.camera_scenes import KINDS, pictures
from diffc_benchmarks.cameras import Point, Taken, at, beginning, encoded, measured, table
from diffc_stream.codec import extent

SIZE = (64, 96)


def photographs() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(2)
    return [
        np.kron(random.integers(30, 220, (10, 14, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        for _ in range(3)
    ]


def sequence(kind: str, count: int = 3) -> list[NDArray[np.uint8]]:
    return [*pictures(photographs(), kind, count, SIZE, seed=1)]


@pytest.mark.parametrize("kind", list(KINDS))
def test_sequences(kind: str) -> None:
    first, second, _ = sequence(kind)
    assert first.shape == (*SIZE, 3)
    np.testing.assert_array_equal(first, sequence(kind)[0])
    difference = np.abs(first.astype(float) - second)
    changed = (difference.max(axis=2) > 12).mean()
    assert {
        "still": changed < 0.001,
        "moving": 0.001 < changed < 0.05,
        "light": difference.mean() < 20,
        "shake": changed > 0.05,
        "all": changed > 0.05,
        "cut": changed > 0.5,
    }[kind]


def test_unchanged_places_cost_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extent, "MOST_BPP", 8.0)
    monkeypatch.setattr(cameras, "MOST_BPP", 8.0)
    taken = measured("still", sequence("still"), by_scale())
    assert (taken.used, taken.pictures) == (2, 3)
    assert all(share < 0.3 for share in taken.shares.values() if not isnan(share))


def test_another_scene_costs_what_it_costs_alone() -> None:
    taken = measured("cut", sequence("cut", 2), by_scale())
    assert taken.used == 0
    assert all(share == 1 for share in taken.shares.values() if not isnan(share))


def test_what_the_next_picture_starts_from_is_some_whole_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, stream = encoded(sequence("still", 1)[0], by_scale())
    monkeypatch.setattr(extent, "MOST_BPP", 10_000 * 8 / (SIZE[0] * SIZE[1]))
    assert beginning(stream) in {*range(256, len(stream), 256), len(stream)}
    monkeypatch.setattr(extent, "MOST_BPP", 256 * 8 / (SIZE[0] * SIZE[1]))
    assert beginning(stream) == 256


def test_bytes_between_two_steps() -> None:
    points = [Point(bytes=100, psnr=20.0), Point(bytes=400, psnr=24.0)]
    assert at(points, 22.0) == pytest.approx(200)
    assert at(points, 19.0) == 100
    assert isnan(at(points, 25.0))


def test_the_table() -> None:
    taken = Taken(
        kind="moving",
        pictures=3,
        used=2,
        header=40.0,
        start=25.0,
        shares={28.0: 0.05, 30.0: 0.1, 32.0: 0.2, 34.0: nan},
    )
    assert table([taken]).splitlines()[-1] == (
        "| moving | 2 of 2 | 40 bytes | 25.0 dB | 5.0 % | 10.0 % | 20.0 % | - |"
    )


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "default_model", by_scale)
    for number, photograph in enumerate(photographs()):
        Image.fromarray(photograph).save(tmp_path / f"{number}.png")
    out = tmp_path / "record.json"
    arguments = ["--images", str(tmp_path), "--kinds", "still", "--pictures", "2"]
    size = ["--width", "48", "--height", "40"]
    assert cameras.main([*arguments, *size, "--json", str(out)]) == 0
    assert json.loads(out.read_text())["results"][0]["kind"] == "still"
