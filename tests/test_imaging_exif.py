"""What EXIF says of colour."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from PIL import ExifTags, Image

from diffc_stream.picture import load_picture

EXIF, INTEROP = ExifTags.IFD.Exif, ExifTags.IFD.Interop


def shown(kind: str, exif: Image.Exif, **options: object) -> list[int]:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (180, 120, 60)).save(buffer, kind, exif=exif, **options)
    return [int(value) for value in load_picture(buffer.getvalue())[8, 8]]


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 100}), ("WEBP", {"lossless": True})]
)
@pytest.mark.parametrize(
    ("space", "rule", "expected"),
    [
        (65535, "R03", [199, 121, 53]),
        (None, "R03", [199, 121, 53]),
        (1, "R03", [180, 120, 60]),
        (65535, "R98", [180, 120, 60]),
        (65535, None, [180, 120, 60]),
    ],
)
def test_adobe_rgb_by_its_rule(
    kind: str,
    options: dict[str, object],
    space: int | None,
    rule: str | None,
    expected: list[int],
) -> None:
    exif = Image.Exif()
    within = exif.get_ifd(EXIF)
    if space is not None:
        within[ExifTags.Base.ColorSpace] = space
    if rule is not None:
        within[INTEROP] = {1: rule}
    assert shown(kind, exif, **options) == pytest.approx(expected, abs=2)


def test_primaries() -> None:
    exif = Image.Exif()
    p3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    exif[ExifTags.Base.PrimaryChromaticities] = tuple(
        Fraction(value).limit_denominator(1000) for value in p3
    )
    exif[ExifTags.Base.WhitePoint] = (Fraction(3127, 10_000), Fraction(329, 1000))
    assert np.abs(np.array(shown("JPEG", exif, quality=100)) - [190, 117, 45]).max() <= 3
    exif[ExifTags.Base.WhitePoint] = (Fraction(0, 1), Fraction(0, 1))
    assert shown("JPEG", exif, quality=100) == pytest.approx([180, 120, 60], abs=2)
