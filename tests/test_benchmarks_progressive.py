"""What beginnings of files show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageFile
from sources import SOURCE, model, stream
from sources import picture as sampled

from diffc_benchmarks.peers import PEERS, Peer
from diffc_benchmarks.progressive import SHARES, Beginning, mean, of_peer, of_stream


def picture() -> NDArray[np.uint8]:
    y, x = np.mgrid[:128, :128]
    waves = 128 + 60 * np.sin(x / 19)[..., None] + 40 * np.cos(y / 25)[..., None] * [1, 0.5, 0.2]
    noise = np.random.default_rng(3).normal(0, 6, waves.shape)
    clipped: NDArray[np.uint8] = np.clip(waves + noise, 0, 255).astype(np.uint8)
    return clipped


def peer(name: str) -> Peer:
    found = next(peer for peer in PEERS if peer.name == name)
    if found.version() is None:
        pytest.skip(found.missing())
    return found


@pytest.mark.parametrize("name", ["JPEG", "JPEG 2000"])
def test_progressive_formats_show_ever_more(name: str) -> None:
    found = of_peer(picture(), peer(name), 2.0)
    assert [entry.share for entry in found] == list(SHARES)
    values = [entry.psnr for entry in found if entry.psnr is not None]
    assert len(values) >= 3
    assert values[-1] == max(values) > values[0] + 3


def test_others_show_nothing_before_the_end() -> None:
    found = of_peer(picture(), peer("WebP"), 2.0)
    assert [entry.psnr is None for entry in found] == [True] * (len(SHARES) - 1) + [False]


def test_a_rate_without_a_file() -> None:
    assert of_peer(picture(), peer("JPEG"), 0.001) == []


def test_pillow_is_left_as_it_was() -> None:
    of_peer(picture(), peer("JPEG"), 2.0)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_ours_shows_something_early(tmp_path: Path) -> None:
    file = tmp_path / "stream.dfc"
    file.write_bytes(stream())
    rate = 8 * 1000 / (SOURCE.height * SOURCE.width)
    found = of_stream(sampled(), file, model(), rate)
    assert [entry.bytes for entry in found] == [round(share * 1000) for share in SHARES]
    values = [entry.psnr for entry in found if entry.psnr is not None]
    assert len(values) >= len(SHARES) - 2
    assert values[-1] > values[0] + 3


def test_means_leave_out_what_some_picture_lacks() -> None:
    entries = [
        Beginning(codec="a", share=share, bytes=1, psnr=value)
        for share, value in [(0.1, 20.0), (0.1, None), (1.0, 30.0), (1.0, 40.0)]
    ]
    assert mean(entries) == {"a": {0.1: None, 1.0: 35.0}}
