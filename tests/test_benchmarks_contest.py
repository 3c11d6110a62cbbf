"""The best of a peer by each measure, and the files kept of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffc_benchmarks import contest
from diffc_benchmarks.contest import LESS_IS_BETTER, MEASURES, figures, pooled
from diffc_benchmarks.peers import PEERS, enlarged
from diffc_benchmarks.quality import Quality
from diffc_benchmarks.realism import patch_distance
from diffc_stream.picture import load_picture, save_png

JPEG = next(peer for peer in PEERS if peer.name == "JPEG")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    y, x = np.mgrid[:64, :72]
    waves = 128 + 60 * np.sin(x / 9)[..., None] + 40 * np.cos(y / 5)[..., None] * [1, 0.5, 0.2]
    save_png(tmp_path / "photo.png", np.clip(waves, 0, 255).astype(np.uint8))
    return tmp_path / "photo.png"


def test_every_figure_is_that_of_its_file(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "peers"
    found = figures(photo, JPEG, [1.5, 4.0], folder)
    assert {figure.rate for figure in found} == {1.5, 4.0}
    for figure in found:
        data = (folder / figure.file).read_bytes()
        assert len(data) == figure.bytes <= figure.rate * 64 * 72 / 8
        shown = Quality.of(enlarged(data, 64, 72), load_picture(photo))
        assert getattr(shown, figure.measure) == pytest.approx(figure.value)


def test_more_bytes_are_no_worse(photo: Path, tmp_path: Path) -> None:
    found = figures(photo, JPEG, [1.5, 6.0], tmp_path / "peers")
    for measure in MEASURES:
        values = [figure.value for figure in found if figure.measure == measure]
        if values:
            assert values == sorted(values, reverse=measure in LESS_IS_BETTER)


def test_what_was_done_is_not_done_again(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "peers"
    found = figures(photo, JPEG, [2.0], folder)
    distances = pooled([photo], JPEG, [found], folder)
    monkeypatch.setattr(contest, "attempts", None)
    monkeypatch.setattr(contest, "patch_distance", None)
    assert figures(photo, JPEG, [2.0], folder) == found
    assert pooled([photo], JPEG, [found], folder) == distances


def test_files_that_went_away_are_made_again(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "peers"
    found = figures(photo, JPEG, [2.0], folder)
    (folder / found[0].file).unlink()
    assert figures(photo, JPEG, [2.0], folder) == found
    assert (folder / found[0].file).is_file()


def test_patches_are_pooled_over_the_chosen_files(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "peers"
    found = figures(photo, JPEG, [0.001, 4.0], folder)
    (chosen,) = [figure for figure in found if figure.measure == "patches"]
    original = load_picture(photo)
    shown = enlarged((folder / chosen.file).read_bytes(), 64, 72)
    assert pooled([photo], JPEG, [found], folder) == {4.0: patch_distance([original], [shown])}
