"""TIFF of kinds that Pillow does not read, and of several pictures."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiffs import Entries, of, tiff

from diffc_stream.errors import DiffcError, PictureTooLarge, UnreadablePicture
from diffc_stream.imaging import tiff as module
from diffc_stream.picture import load_picture


def ramp(height: int = 5, width: int = 7, samples: int = 3) -> NDArray[np.float64]:
    values = np.linspace(0, 1, height * width * samples)
    return np.random.default_rng(0).permutation(values).reshape(height, width, samples)


def shown(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    return np.round(255 * values).astype(np.uint8)


def stored(values: NDArray[np.float64], kind: str, order: str = "<") -> NDArray[Any]:
    dtype = np.dtype(f"{order}{kind}")
    if dtype.kind == "f":
        return values.astype(dtype)
    return np.round(values * float(np.iinfo(dtype).max)).astype(dtype)


def close(data: bytes, expected: NDArray[np.uint8], by: int = 1) -> bool:
    picture = load_picture(data)
    difference = np.abs(picture.astype(int) - expected)
    return picture.shape == expected.shape and int(difference.max()) <= by


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
def test_samples_of_all_kinds(kind: str, order: str, big: bool, samples: int) -> None:
    values = ramp(samples=samples)
    data = tiff(of(stored(values, kind, order)), order=order, big=big)
    assert close(data, shown(values))


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f4"])
@pytest.mark.parametrize("samples", [2, 4])
def test_alpha_of_all_kinds(kind: str, samples: int) -> None:
    values = ramp(samples=samples)
    alpha = values[..., -1:]
    paper = shown(values[..., :-1] * alpha + 1 - alpha)
    for extra, held in ((2, values), (1, np.concatenate([values[..., :-1] * alpha, alpha], 2))):
        data = tiff(of(stored(held, kind), t338=[extra]))
        assert close(data, paper, by=2)


def test_samples_that_are_no_alpha_are_left_aside() -> None:
    values = ramp(samples=4)
    assert close(tiff(of(stored(values, "u2"), t338=[0])), shown(values[..., :3]))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_of_every_depth_either_way_round(bits: int, order: str, photometric: int) -> None:
    most = (1 << bits) - 1
    values = np.array([[0, most // 3, most, most // 2]] * 2)
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in values]
    strip = b"".join(
        int(row.ljust(-len(row) % 8 + len(row), "0"), 2).to_bytes(-(-len(row) // 8), "big")
        for row in rows
    )
    entries, _ = of(np.zeros((2, 4), np.uint8))
    entries |= {258: ("H", [bits]), 262: ("H", [photometric]), 339: ("H", [1])}
    grey = 255 * values / most
    expected = np.round(grey if photometric else 255 - grey).astype(int)
    if bits in (16, 32) and order == "<":
        strip = values.astype(f"<u{bits // 8}").tobytes()
    picture = load_picture(tiff((entries, strip), order=order))
    assert np.abs(picture - expected[..., np.newaxis]).max() <= 1


@pytest.mark.parametrize("kind", ["u2", "f4"])
@pytest.mark.parametrize("compression", [1, 5, 8, 32946, 32773])
@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_compressions_and_predictions(kind: str, compression: int, predictor: int) -> None:
    if predictor == (2 if kind == "f4" else 3) or (predictor > 1 and compression in (1, 32773)):
        pytest.skip("nobody predicts so")
    values = ramp(height=6)
    samples = stored(values, kind)
    entries, raw = of(samples)
    if predictor == 2:
        raw = np.diff(samples, axis=1, prepend=np.zeros((6, 1, 3), samples.dtype)).tobytes()
    elif predictor == 3:
        raw = _float_predicted(samples)
    packed = raw
    if compression in (8, 32946):
        packed = zlib.compress(raw)
    elif compression == 32773:
        packed = b"".join(bytes([0, byte]) for byte in raw)
    elif compression == 5:
        packed = _by_pillow(raw)
    entries |= {259: ("H", [compression]), 317: ("H", [predictor])}
    # Pillow has a way with some of them; what this project has for the others is right for all.
    assert close(tiff((entries, packed)), shown(values))
    found = module.looked_at(io.BytesIO(tiff((entries, packed))))
    assert found is not None
    ours = np.asarray(module.decoded(io.BytesIO(tiff((entries, packed))), found))
    assert np.abs(ours.astype(int) - shown(values)).max() <= 1


def _float_predicted(samples: NDArray[Any]) -> bytes:
    height, width, many = samples.shape
    planes = samples.astype(">f4").view(np.uint8).reshape(height, width * many, 4)
    apart = planes.transpose(0, 2, 1).reshape(height, -1, many)
    return np.diff(apart, axis=1, prepend=np.zeros((height, 1, many), np.uint8)).tobytes()


def _by_pillow(raw: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("L", (len(raw), 1), raw).save(buffer, "TIFF", compression="tiff_lzw")
    with Image.open(buffer) as image:
        offset, size = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]  # of TIFF
    return buffer.getvalue()[offset : offset + size]


def test_planes_and_tiles() -> None:
    values = ramp(height=9, width=13)
    samples = stored(values, "f4")
    entries, _ = of(samples)
    planes = samples.transpose(2, 0, 1)
    data = tiff((entries | {284: ("H", [2])}, planes.tobytes()))
    start = data.index(planes.tobytes())
    size = planes[0].nbytes
    entries |= {
        284: ("H", [2]),
        324: ("I", [start + i * size for i in range(3)]),
        325: ("I", [size] * 3),
        322: ("I", [13]),
        323: ("I", [9]),
    }
    moved = tiff((entries, planes.tobytes()))
    shift = moved.index(planes.tobytes()) - start
    entries[324] = ("I", [start + shift + i * size for i in range(3)])
    assert close(tiff((entries, planes.tobytes())), shown(values))


def test_tiles_beyond_the_edge() -> None:
    values = ramp(height=9, width=13)
    padded = np.zeros((16, 16, 3), "<f4")
    padded[:9, :13] = values
    tiles = [padded[y : y + 8, x : x + 8].tobytes() for y in (0, 8) for x in (0, 8)]
    entries, _ = of(stored(values, "f4"))
    entries |= {322: ("I", [8]), 323: ("I", [8]), 325: ("I", [len(tiles[0])] * 4)}
    for _ in range(2):  # where they are is known when they are
        entries[324] = ("I", [0] * 4)
        start = tiff((entries, b"".join(tiles))).index(tiles[0])
        entries[324] = ("I", [start + i * len(tiles[0]) for i in range(4)])
    assert close(tiff((entries, b"".join(tiles))), shown(values))


def full_and_reduced() -> tuple[tuple[Entries, bytes], tuple[Entries, bytes]]:
    small = of(np.full((2, 2, 3), 9, np.uint8), t254=[1])
    return small, of(np.full((4, 6, 3), 200, np.uint8))


@pytest.mark.parametrize("big", [False, True])
def test_the_full_picture_is_shown_wherever_it_is(big: bool) -> None:
    small, full = full_and_reduced()
    for chain in ((small, full), (full, small), (small, small, full), (full,)):
        picture = load_picture(tiff(*chain, big=big))
        assert picture.shape == (4, 6, 3)
        assert np.all(picture == 200)
    old = (small[0] | {255: ("I", [2])}, small[1])
    del old[0][254]
    assert load_picture(tiff(old, full, big=big)).shape == (4, 6, 3)
    assert load_picture(tiff(small, big=big)).shape == (2, 2, 3)  # better than nothing


def test_the_full_picture_below_another() -> None:
    small, full = full_and_reduced()
    alone = tiff(full)
    first = tiff((small[0] | {330: ("I", [0])}, small[1]))
    # As cameras and microscopes write it.
    moved = bytearray(first + bytes(len(first) % 2) + alone[8:])
    shift = len(first) + len(first) % 2 - 8
    entries, strip = full
    at = shift + 8
    for number in range(int.from_bytes(alone[8:10], "little")):
        place = at + 2 + 12 * number
        tag, kind = (int.from_bytes(moved[place + i : place + i + 2], "little") for i in (0, 2))
        count = int.from_bytes(moved[place + 4 : place + 8], "little")
        if tag == 273 or count * {1: 1, 3: 2, 4: 4}[kind] > 4:
            value = int.from_bytes(moved[place + 8 : place + 12], "little") + shift
            moved[place + 8 : place + 12] = value.to_bytes(4, "little")
    pointer = first.index((330).to_bytes(2, "little") + b"\4\0\1\0\0\0") + 8
    moved[pointer : pointer + 4] = at.to_bytes(4, "little")
    assert np.all(load_picture(bytes(moved)) == np.full((4, 6, 3), 200))
    assert entries
    assert strip


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((4, 4, 6), np.uint16), "6 samples a pixel, of 16 bits"),
        (np.zeros((4, 4, 3), np.int16), "3 signed numbers a pixel, of 16 bits"),
        (np.zeros((4, 4, 7), np.float32), "7 floats a pixel, of 32 bits"),
    ],
)
def test_what_is_not_read_is_said(samples: NDArray[Any], says: str) -> None:
    with pytest.raises(UnreadablePicture, match=says):
        load_picture(tiff(of(samples)))
    space = of(np.zeros((4, 4, 3), np.float32), t262=[8])
    with pytest.raises(UnreadablePicture, match="colour space 8"):
        load_picture(tiff(space))
    unknown = of(np.zeros((4, 4, 3), np.float32), t259=[50_001])
    with pytest.raises(UnreadablePicture, match="compression"):
        load_picture(tiff(unknown))


def test_orientation_and_profile() -> None:
    values = ramp()
    data = tiff(of(stored(values, "f4"), t274=[3]))
    assert close(data, shown(values)[::-1, ::-1])


def test_sizes_that_are_too_large() -> None:
    entries, strip = of(np.zeros((4, 4, 3), np.float32))
    for width, height, error in (
        (60_000, 60_000, PictureTooLarge),
        (0, 4, UnreadablePicture),
        (9_000, 9_000, UnreadablePicture),
    ):
        more = {256: ("I", [width]), 257: ("I", [height]), 278: ("I", [height])}
        with pytest.raises(error):
            load_picture(tiff((entries | more, strip)))


def test_damaged_files_are_one_line() -> None:
    small, _ = full_and_reduced()
    whole = tiff(small, of(stored(ramp(), "f4"), t338=[2]))
    circle = bytearray(tiff(small, small))
    rng = np.random.default_rng(3)
    for _ in range(400):
        damaged = bytearray(whole if rng.integers(2) else circle)
        for place in rng.integers(0, len(damaged), 3):
            damaged[place] = rng.integers(256)
        for data in (bytes(damaged), whole[: rng.integers(len(whole))]):
            try:
                assert load_picture(data).ndim == 3
            except DiffcError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({278: ("I", [1])}, "parts are missing"),
        ({278: ("I", [0])}, "parts of no size"),
        ({259: ("H", [8]), 317: ("H", [9])}, "prediction"),
        (
            {322: ("I", [65_000]), 323: ("I", [65_000]), 324: ("I", [8]), 325: ("I", [9])},
            "too large",
        ),
    ],
)
def test_parts_and_predictions_that_cannot_be(entries: Entries, says: str) -> None:
    told, _ = of(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(UnreadablePicture, match=says):
        load_picture(tiff((told | entries, zlib.compress(bytes(192)))))


def test_a_reduced_picture_whose_directory_is_damaged_is_passed_over() -> None:
    entries, strip = of(ramp().astype(np.float32))
    assert load_picture(tiff((entries | {330: ("I", [2**31])}, strip))).ndim == 3
