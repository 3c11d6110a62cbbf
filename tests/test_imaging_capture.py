"""How pictures were taken: as their files say, and as files that are written say it again."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

from diffc_stream.container import Metadata, Place
from diffc_stream.formats import format_of, picture_bytes
from diffc_stream.picture import load_photograph

IMAGE = np.zeros((8, 12, 3), np.uint8)
TAKEN = Metadata(
    time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    place=Place(latitude=-33.8567844, longitude=-151.2152967, altitude=-4.0),
    camera="Nikon Ü 850",
    description="Grüße \U0001f642",
)


def read(exif: Image.Exif, kind: str = "JPEG") -> Metadata:
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).save(buffer, kind, exif=exif)
    return load_photograph(buffer.getvalue())[1]


def of(main: dict[int, Any], inner: dict[int, Any] | None = None, gps: Any = None) -> Metadata:
    exif = Image.Exif()
    for tag, value in main.items():
        exif[tag] = value
    exif.get_ifd(IFD.Exif).update(inner or {})
    exif.get_ifd(IFD.GPSInfo).update(gps or {})
    return read(exif)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_what_is_written_is_read_again(suffix: str) -> None:
    text = {"diffc-bytes": "12", "diffc-render": "mmse"}
    data = picture_bytes(IMAGE, format_of(Path(f"x{suffix}")), text, TAKEN)
    image, found = load_photograph(data)
    assert image.shape == IMAGE.shape
    if suffix == ".tif":
        # All that one directory has place for.
        assert TAKEN.time is not None
        assert found == Metadata(
            time=TAKEN.time.replace(tzinfo=None),
            camera=TAKEN.camera,
            description=TAKEN.description,
        )
    else:
        assert found == TAKEN
    orientation = Image.open(io.BytesIO(data)).getexif().get(Base.Orientation, 1)
    assert orientation == 1


def test_nothing_known_is_nothing_written() -> None:
    for suffix in (".png", ".jpg"):
        kind = format_of(Path(f"x{suffix}"))
        data = picture_bytes(IMAGE, kind)
        assert data == picture_bytes(IMAGE, kind, None, Metadata())
        assert load_photograph(data)[1] == Metadata()
        assert load_photograph(picture_bytes(IMAGE, kind, {"diffc-bytes": "1"}))[1] == Metadata()


@pytest.mark.parametrize(
    ("maker", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D850", "NIKON D850"),
        ("SONY", "ILCE-7M3", "SONY ILCE-7M3"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("Canon\0", "Canon EOS R5 \0junk", "Canon EOS R5"),
        ("Acme", "", "Acme"),
        ("", "Box", "Box"),
    ],
)
def test_cameras_have_the_name_that_people_call_them(maker: str, model: str, camera: str) -> None:
    assert of({Base.Make: maker, Base.Model: model}).camera == camera


@pytest.mark.parametrize(
    ("main", "inner", "time"),
    [
        ({}, {Base.DateTimeOriginal: "2024:05:06 07:08:09"}, "2024-05-06T07:08:09"),
        (
            {Base.DateTime: "2025:01:01 00:00:00"},
            {Base.DateTimeOriginal: "2024:05:06 07:08:09", Base.OffsetTimeOriginal: "-03:30"},
            "2024-05-06T07:08:09-03:30",
        ),
        ({}, {Base.DateTimeDigitized: "2024:05:06 07:08"}, "2024-05-06T07:08:00"),
        ({Base.DateTime: "2024-05-06T07:08:09"}, {}, "2024-05-06T07:08:09"),
        (
            {Base.DateTime: "2024:05:06 07:08:09"},
            {Base.DateTimeOriginal: "0000:00:00 00:00:00"},
            "2024-05-06T07:08:09",
        ),
        ({}, {Base.DateTimeOriginal: "    :  :     :  :  "}, None),
        ({}, {Base.DateTimeOriginal: "yesterday"}, None),
        (
            {},
            {Base.DateTimeOriginal: "2024:05:06 07:08:09", Base.OffsetTimeOriginal: "+99:00"},
            "2024-05-06T07:08:09",
        ),
    ],
)
def test_times(main: dict[int, Any], inner: dict[int, Any], time: str | None) -> None:
    found = of(main, inner).time
    assert (found and found.isoformat()) == time


NORTH = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (51.0, 30.0, 26.4633)}
EAST = {GPS.GPSLongitudeRef: "W", GPS.GPSLongitude: (0.0, 7.65, 0.0)}


def test_places() -> None:
    gps = NORTH | EAST | {GPS.GPSAltitude: 12.0, GPS.GPSAltitudeRef: b"\1"}
    assert of({}, None, gps).place == Place(latitude=51.5073509, longitude=-0.1275, altitude=-12.0)
    assert of({}, None, NORTH | EAST).place == Place(latitude=51.5073509, longitude=-0.1275)


@pytest.mark.parametrize(
    "gps",
    [
        NORTH,
        NORTH | EAST | {GPS.GPSStatus: "V"},
        NORTH | EAST | {GPS.GPSLatitude: (91.0, 0.0, 0.0)},
        {**NORTH, **EAST, GPS.GPSLatitude: (0.0, 0.0, 0.0), GPS.GPSLongitude: (0.0, 0.0, 0.0)},
    ],
)
def test_what_is_no_place_is_none(gps: dict[int, Any]) -> None:
    assert of({}, None, gps).place is None


def test_descriptions() -> None:
    assert of({Base.ImageDescription: "Gr\u00fc\u00dfe\n\x1b[1m".encode()}).description == (
        "Gr\u00fc\u00dfe [1m"
    )
    comment: dict[int, Any] = {Base.UserComment: b"ASCII\0\0\0a hill\0\0"}
    assert of({Base.ImageDescription: " \0"}, comment).description == "a hill"
    for order, mark in (("utf-16-be", b""), ("utf-16-le", b""), ("utf-16-le", b"\xff\xfe")):
        wide: dict[int, Any] = {Base.UserComment: b"UNICODE\0" + mark + "Hügel".encode(order)}
        assert of({}, wide).description == "Hügel"
    info = PngInfo()
    info.add_itxt("Title", "Überblick")
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).save(buffer, "PNG", pnginfo=info)
    assert load_photograph(buffer.getvalue())[1].description == "Überblick"


def test_damaged_exif_says_nothing() -> None:
    rng = np.random.default_rng(1)
    data = bytearray(picture_bytes(IMAGE, format_of(Path("x.jpg")), None, TAKEN))
    start = data.index(b"Exif") + 6
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(start, start + 250, 4):
            damaged[place] = rng.integers(256)
        image, found = load_photograph(bytes(damaged))
        assert image.shape[2] == 3
        assert len(found.encode()) <= 95
