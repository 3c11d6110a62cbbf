"""Pictures as phones take them."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from picture_files import colour_of, encoded, plain, rgb_profile
from PIL import Image

from diffc_stream.errors import DiffcError, PictureTooLarge, UnreadablePicture
from diffc_stream.picture import load_picture

HEIC = Path(__file__).parent / "vectors"
"""Made by heic.py there."""


@pytest.mark.parametrize(("name", "colour"), [("plain", (200, 100, 50)), ("grey", (124,) * 3)])
def test_heic(name: str, colour: tuple[int, int, int]) -> None:
    path = HEIC / f"{name}.heic"
    registered = "HEIF" in Image.OPEN
    with path.open("rb") as file:
        opened = load_picture(file)
    for picture in (opened, load_picture(path), load_picture(path.read_bytes())):
        assert picture.shape == (16, 24, 3)
        assert np.all(picture == colour)
        assert picture.flags.c_contiguous
        assert picture.flags.writeable
    # Whoever embeds the library decides what their Pillow reads.
    assert ("HEIF" in Image.OPEN) == registered


def test_heic_is_shown_upright() -> None:
    picture = load_picture(HEIC / "turned.heic")
    assert picture.shape == (24, 16, 3)
    assert np.all(picture[:, :8] == 0)
    assert np.all(picture[:, 8:] == 255)


def test_heic_of_ten_bits_on_paper() -> None:
    picture = load_picture(HEIC / "deep.heic").astype(int)
    assert np.abs(picture[:, 12:] - (200, 100, 50)).max() <= 1
    half = np.array([200, 100, 50]) / 2 + 255 / 2
    assert np.abs(picture[:, :12] - half).max() <= 1


def test_heic_with_a_profile() -> None:
    straight = encoded(Image.new("RGB", (3, 2), (200, 100, 50)), icc_profile=rgb_profile(1.0))
    converted = load_picture(HEIC / "profile.heic")
    assert converted[0, 0].tolist() == colour_of(straight) != [200, 100, 50]


def test_heic_by_its_other_brand() -> None:
    data = (HEIC / "plain.heic").read_bytes()
    assert data[4:12] == b"ftypheix"
    assert b"heix" in data[16 : data[3]]
    assert load_picture(data[:8] + b"mif1" + data[12:]).shape == (16, 24, 3)


def test_heic_too_large() -> None:
    data = (HEIC / "plain.heic").read_bytes()
    place = data.index(b"ispe") + 8
    for side in (20_000, 60_000):
        promised = data[:place] + 2 * struct.pack(">I", side) + data[place + 8 :]
        with pytest.raises(DiffcError):
            load_picture(promised)
    with pytest.raises(PictureTooLarge):
        load_picture(data, most_pixels=16 * 24 - 1)


def test_heic_without_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif.as_plugin", None)
    with pytest.raises(UnreadablePicture, match=r"plain\.heic: HEIF needs pip install pi-heif"):
        load_picture(HEIC / "plain.heic")
    assert load_picture(encoded(Image.fromarray(plain()), "AVIF")).ndim == 3


def test_truncated_heic() -> None:
    data = (HEIC / "plain.heic").read_bytes()
    for length in range(0, len(data), 5):
        with pytest.raises(UnreadablePicture) as caught:
            load_picture(data[:length])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["plain", "deep", "turned"])
def test_damaged_heic(name: str) -> None:
    data = (HEIC / f"{name}.heic").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(256)
        try:
            assert load_picture(bytes(damaged)).ndim == 3
        except DiffcError as error:
            assert "\n" not in str(error)
