"""Read the orientation and the colour space of a picture from EXIF.

Fields that cannot be read are ignored.
"""

from __future__ import annotations

from contextlib import suppress

from PIL import ExifTags, Image

from diffc_stream.imaging.boxes import NOTHING, Told
from diffc_stream.imaging.colour import ADOBE_RGB, calibrated

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What to do by the orientation that is told."""
_FORMATS = ("JPEG", "MPO", "TIFF", "WEBP")
"""That have no other way to say it, but a profile."""
_SRGB = 1
_INDEX = 1
"""The tag of the rule that a camera follows; those of R03 mean Adobe RGB."""


def upright(image: Image.Image, original: Image.Image) -> Image.Image:
    """Turn ``image`` as the file of ``original`` says that it should be."""
    try:
        turn = _TURNS.get(original.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return image
    return image if turn is None else image.transpose(turn)


def turned(image: Image.Image) -> None:
    """Note that an image is upright already, whatever its file says."""
    with suppress(Exception):
        image.getexif().pop(ExifTags.Base.Orientation, None)


def colour(image: Image.Image) -> Told:
    """Return what is said of colour where no profile says more."""
    if image.format not in _FORMATS:
        return NOTHING
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        rule = str(exif.get_ifd(ExifTags.IFD.Interop).get(_INDEX, ""))
        if space != _SRGB and rule.startswith("R03"):
            return Told(coding=ADOBE_RGB)
        if ExifTags.Base.PrimaryChromaticities in exif and ExifTags.Base.WhitePoint in exif:
            values = (exif[ExifTags.Base.PrimaryChromaticities], exif[ExifTags.Base.WhitePoint])
            return Told(coding=calibrated(None, [float(v) for part in values for v in part]))
    except Exception:
        return NOTHING
    return NOTHING
