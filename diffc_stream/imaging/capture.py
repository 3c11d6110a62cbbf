"""Read and write how a picture was taken (EXIF, and text in PNG).

Fields that cannot be read are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from diffc_stream.container.metadata import Metadata, Place, line

Found = TypeVar("Found")

OURS = "diffc-bytes: "
"""Start of the description that this program adds after the picture's own."""
_TIMES = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal),
    (Base.DateTimeDigitized, Base.OffsetTimeDigitized),
    (Base.DateTime, Base.OffsetTime),
)
"""When a picture was taken, the best first, and in which zone."""
_FORMAT = "%Y:%m:%d %H:%M:%S"
_MOST_TEXT = 4096
"""Characters of a text that are looked at."""
_KEYWORDS = ("Description", "Title")
"""Of text in PNG that describes a picture, the best first."""


def metadata_of(image: Image.Image) -> Metadata:
    """Return how a picture that was loaded was taken, as far as its file says."""
    told = _tried(image.getexif) or Image.Exif()
    exif = {**dict(told), **(_tried(lambda: told.get_ifd(IFD.Exif)) or {})}
    gps = _tried(lambda: told.get_ifd(IFD.GPSInfo)) or {}
    return Metadata(
        time=_tried(lambda: _time(exif)),
        place=_tried(lambda: _place(gps)),
        camera=_tried(lambda: _camera(exif)) or "",
        description=_tried(lambda: _description(image, exif)) or "",
    )


def exif_of(metadata: Metadata, *, more: str = "", flat: bool = False) -> Image.Exif:
    """Return EXIF that says how an upright picture was taken, and ``more`` after its description.

    Text is UTF-8, as most read it by now.  ``flat``: in one directory, which has no place for
    places and zones; of compressed TIFF Pillow writes no other.
    """
    exif = Image.Exif()
    described = "\n".join(text for text in (metadata.description, more) if text)
    if described:
        exif[Base.ImageDescription] = _text_bytes(described)
    if metadata:
        exif[Base.Orientation] = 1
    if metadata.camera:
        exif[Base.Model] = _text_bytes(metadata.camera)
    if flat:
        if metadata.time is not None:
            exif[Base.DateTime] = _moment(metadata.time)
        return exif
    if metadata.time is not None:
        inner = exif.get_ifd(IFD.Exif)
        inner[Base.DateTimeOriginal] = _moment(metadata.time)
        if (ahead := metadata.time.utcoffset()) is not None:
            inner[Base.OffsetTimeOriginal] = _zone(ahead)
    if metadata.place is not None:
        exif.get_ifd(IFD.GPSInfo).update(_gps(metadata.place))
    return exif


def _moment(time: datetime) -> str:
    # By itself not every system writes the year 987 with four digits.
    return f"{time.year:04}{time.strftime(_FORMAT)[-15:]}"


def _tried(function: Callable[[], Found]) -> Found | None:
    """Return the result of a function, or None if the file is damaged in any way."""
    with suppress(Exception):
        return function()
    return None


def _time(exif: Mapping[int, Any]) -> datetime | None:
    for moment, zone in _TIMES:
        digits = "".join(c if c.isdigit() else " " for c in str(exif.get(moment, ""))).split()
        with suppress(ValueError, TypeError):
            numbers = [int(number) for number in digits[:6]]
            time = datetime(*numbers[:3], *numbers[3:6])  # type: ignore[arg-type] # noqa: DTZ001
            ahead = _ahead(str(exif.get(zone, "")))
            return time if ahead is None else time.replace(tzinfo=timezone(ahead))
    return None


def _ahead(text: str) -> timedelta | None:
    """Parse a time zone such as "+02:00"; return None if it is not one."""
    text = text.strip(" \0").replace("Z", "+00:00")
    if len(text) != 6 or text[0] not in "+-" or text[3] != ":":
        return None
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[4:]))
    if ahead >= timedelta(days=1):
        return None
    return ahead if text[0] == "+" else -ahead


def _zone(ahead: timedelta) -> str:
    minutes = round(abs(ahead) / timedelta(minutes=1))
    return f"{'-' if ahead < timedelta() else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _place(gps: Mapping[int, Any]) -> Place | None:
    if _word(gps.get(GPS.GPSStatus)) == "V":
        return None  # The camera had no satellite fix.
    latitude, longitude = _angle(gps[GPS.GPSLatitude]), _angle(gps[GPS.GPSLongitude])
    if _word(gps.get(GPS.GPSLatitudeRef)) == "S":
        latitude = -latitude
    if _word(gps.get(GPS.GPSLongitudeRef)) == "W":
        longitude = -longitude
    altitude = _tried(lambda: _altitude(gps))
    place = Place(latitude=latitude, longitude=longitude, altitude=altitude)
    # Both are 0 only if the camera does not know the place.
    return place if place.sound and (latitude or longitude) else None


def _angle(parts: Any) -> float:
    """Return degrees.  Raises ValueError, TypeError or ZeroDivisionError."""
    values = [float(part) for part in (parts if isinstance(parts, tuple) else (parts,))]
    angle: float = sum(value / 60**place for place, value in enumerate(values[:3]))
    if not math.isfinite(angle):
        raise ValueError("not an angle")
    return float(round(angle, 7))


def _altitude(gps: Mapping[int, Any]) -> float | None:
    altitude = float(gps[GPS.GPSAltitude])
    below = gps.get(GPS.GPSAltitudeRef) in (b"\x01", 1)
    known = math.isfinite(altitude) and Place(latitude=0, longitude=0, altitude=altitude).sound
    return (-altitude if below else altitude) if known else None


def _gps(place: Place) -> dict[int, Any]:
    gps: dict[int, Any] = {
        GPS.GPSVersionID: b"\x02\x03\0\0",
        GPS.GPSLatitudeRef: "S" if place.latitude < 0 else "N",
        GPS.GPSLatitude: _arc(place.latitude),
        GPS.GPSLongitudeRef: "W" if place.longitude < 0 else "E",
        GPS.GPSLongitude: _arc(place.longitude),
    }
    if place.altitude is not None:
        gps[GPS.GPSAltitudeRef] = b"\x01" if place.altitude < 0 else b"\0"
        gps[GPS.GPSAltitude] = abs(place.altitude)
    return gps


def _arc(angle: float) -> tuple[float, float, float]:
    """Return degrees, minutes and seconds of an angle's size."""
    # In units of 10^-4 seconds, so that none comes out as sixty.
    units = round(abs(angle) * 3600 * 10_000)
    minutes, rest = divmod(units, 60 * 10_000)
    return float(minutes // 60), float(minutes % 60), rest / 10_000


def _camera(exif: Mapping[int, Any]) -> str:
    """Return maker and model, with the maker's name only once and without its legal form."""
    maker, model = (_said(exif.get(tag)) for tag in (Base.Make, Base.Model))
    short = maker.split()[0] if maker else ""
    if not model or model.lower().startswith(short.lower()):
        return model or maker
    return f"{short} {model}"


def _description(image: Image.Image, exif: Mapping[int, Any]) -> str:
    said = [_said(exif.get(Base.ImageDescription))]
    if image.format == "PNG":
        said += [_said(image.info.get(keyword)) for keyword in _KEYWORDS]
    said.append(_comment(exif.get(Base.UserComment)))
    return next(filter(None, said), "")


def _said(value: object) -> str:
    """Return text as one line, without what this program has added to it."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    text = text[:_MOST_TEXT].partition(OURS)[0].partition("\0")[0]
    with suppress(UnicodeError):  # Pillow takes it for Latin-1
        text = text.encode("latin-1").decode()
    return line(text)


def _comment(value: object) -> str:
    """Return a comment of EXIF, which begins with what it is written in."""
    if not isinstance(value, bytes):
        return ""
    code, text = value[:8], value[8 : 8 + 2 * _MOST_TEXT]
    if code == b"UNICODE\0":
        order = "utf-16-be" if text[::2].count(0) >= text[1::2].count(0) else "utf-16-le"
        marked = text[:2] in (b"\xfe\xff", b"\xff\xfe")
        return line(text.decode("utf-16" if marked else order, errors="ignore").strip("\0"))
    return _said(text) if code in (b"ASCII\0\0\0", bytes(8)) else ""


def _word(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return text.strip(" \0").upper()


def _text_bytes(text: str) -> bytes | str:
    """Return text as Pillow writes it, whose own way knows ASCII alone."""
    return text if text.isascii() else text.encode()
