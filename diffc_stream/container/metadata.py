"""Facts that a stream may contain about its picture: when, where and with what it was taken.

    facts = (id:u8 length:u8 value)*

    1  time         seconds:i40 zone:i8     since 1970 by the clock of the place; quarters of an
                                            hour that it is ahead of UTC, -128 if unknown
    2  place        latitude:i32 longitude:i32 [altitude:i16]      in 10^-7 degrees, and metres
    3  camera       UTF-8
    4  description  UTF-8

Integers are little-endian.  Facts that are unknown or make no sense are ignored, so that they never
keep a picture from being shown.  Text is reduced to one line without control characters, both when
written and when read.
"""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum

MOST_FACTS = 95
"""Most bytes of facts that are written; the record around them makes it a hundred."""
MOST_CAMERA = 32
"""Most bytes of a camera's name that are written."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (local time, of any zone)
_QUARTER = timedelta(minutes=15)
_MOST_QUARTERS = 56
_NO_ZONE = -128
_DEGREE = 10**7
_MOST_ALTITUDE = 32_767


class Fact(Enum):
    """The kinds of facts."""

    TIME = "time"
    PLACE = "place"
    CAMERA = "camera"
    DESCRIPTION = "description"


class Facts(frozenset[Fact]):
    """A set of kinds of facts; as text it is all, none, or their names separated by commas."""

    @classmethod
    def named(cls, text: str) -> Facts:
        """Return the facts that ``text`` names.  Raises ValueError."""
        if text == "all":
            return cls(Fact)
        names = [] if text == "none" else [name.strip() for name in text.split(",")]
        try:
            return cls(map(Fact, names))
        except ValueError:
            raise ValueError(f"{text!r} is not all, none or of {cls(Fact)}") from None

    def __str__(self) -> str:
        return ",".join(fact.value for fact in Fact if fact in self) or "none"


DISCREET = Facts((Fact.TIME, Fact.CAMERA, Fact.DESCRIPTION))
"""The default: everything except where a picture was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a picture was taken."""

    latitude: float
    """Degrees north, -90 to 90."""
    longitude: float
    """Degrees east, -180 to 180."""
    altitude: float | None = None
    """Metres above the sea, -32,767 to 32,767."""

    @property
    def sound(self) -> bool:
        """Whether this is a place on Earth."""
        level = self.altitude is None or abs(self.altitude) <= _MOST_ALTITUDE
        return level and abs(self.latitude) <= 90 and abs(self.longitude) <= 180

    def __str__(self) -> str:
        north, east = "S" if self.latitude < 0 else "N", "W" if self.longitude < 0 else "E"
        text = f"{abs(self.latitude):.6f} {north}, {abs(self.longitude):.6f} {east}"
        return text if self.altitude is None else f"{text}, {self.altitude:.0f} m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known about how a picture was taken."""

    time: datetime | None = None
    """Local time where the picture was taken; naive if the zone is unknown."""
    place: Place | None = None
    camera: str = ""
    description: str = ""

    def __bool__(self) -> bool:
        return self != NOTHING

    def only(self, facts: Facts) -> Metadata:
        """Return a copy with these facts and no others."""
        return Metadata(
            time=self.time if Fact.TIME in facts else None,
            place=self.place if Fact.PLACE in facts else None,
            camera=self.camera if Fact.CAMERA in facts else "",
            description=self.description if Fact.DESCRIPTION in facts else "",
        )

    def encode(self) -> bytes:
        """Return the encoded facts, at most MOST_FACTS bytes; no bytes if nothing is known.

        Times are in whole seconds and places in centimetres.  A zone that is not a whole number
        of quarters of an hour is left out, and text that is too long is cut.
        """
        out = b""
        if self.time is not None:
            out += _field(1, _time_bytes(self.time))
        if self.place is not None and self.place.sound:
            out += _field(2, _place_bytes(self.place))
        out += _text(3, self.camera, MOST_CAMERA)
        return out + _text(4, self.description, MOST_FACTS - len(out) - 2)

    @classmethod
    def parse(cls, data: bytes) -> Metadata:
        """Return the facts in ``data``, which may come from anywhere.  Never raises."""
        found, place = NOTHING, 0
        while place + 2 <= len(data):
            kind, end = data[place], place + 2 + data[place + 1]
            value = data[place + 2 : end]
            if end > len(data):
                break
            match kind:
                case 1:
                    found = replace(found, time=_time(value))
                case 2:
                    found = replace(found, place=_place(value))
                case 3:
                    found = replace(found, camera=line(value.decode(errors="replace")))
                case 4:
                    found = replace(found, description=line(value.decode(errors="replace")))
            place = end
        return found

    def facts(self) -> dict[str, str]:
        """Return what is known as readable text, by name."""
        told = {
            "time": "" if self.time is None else self.time.isoformat(" ", "seconds"),
            "place": "" if self.place is None else str(self.place),
            "camera": self.camera,
            "description": self.description,
        }
        return {name: value for name, value in told.items() if value}


NOTHING = Metadata()


def line(text: str) -> str:
    """Return text as one line, without characters that control a terminal or a page."""
    return " ".join("".join(map(_harmless, text)).split())


def _harmless(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs"):
        return " "
    turns = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return "" if turns else character


def _field(kind: int, value: bytes) -> bytes:
    return bytes([kind, len(value)]) + value


def _text(kind: int, text: str, most: int) -> bytes:
    data = line(text).encode()
    if len(data) > most:
        data = data[: max(0, most - 3)].decode(errors="ignore").rstrip().encode()
        data += "…".encode()
    return _field(kind, data) if data and len(data) <= most else b""


def _time_bytes(time: datetime) -> bytes:
    zone, ahead = _NO_ZONE, time.utcoffset()
    if ahead is not None and not ahead % _QUARTER and abs(ahead // _QUARTER) <= _MOST_QUARTERS:
        zone = ahead // _QUARTER
    seconds = (time.replace(tzinfo=None) - _EPOCH) // timedelta(seconds=1)
    return seconds.to_bytes(5, "little", signed=True) + struct.pack("<b", zone)


def _time(value: bytes) -> datetime | None:
    if len(value) != 6:
        return None
    (quarters,) = struct.unpack("<b", value[5:])
    try:
        time = _EPOCH + timedelta(seconds=int.from_bytes(value[:5], "little", signed=True))
    except OverflowError:
        return None
    if quarters == _NO_ZONE:
        return time
    known = abs(quarters) <= _MOST_QUARTERS
    return time.replace(tzinfo=timezone(quarters * _QUARTER)) if known else time


def _place_bytes(place: Place) -> bytes:
    data = struct.pack("<ii", round(place.latitude * _DEGREE), round(place.longitude * _DEGREE))
    return data if place.altitude is None else data + struct.pack("<h", round(place.altitude))


def _place(value: bytes) -> Place | None:
    if len(value) not in (8, 10):
        return None
    latitude, longitude = struct.unpack("<ii", value[:8])
    altitude = float(struct.unpack("<h", value[8:])[0]) if value[8:] else None
    place = Place(latitude=latitude / _DEGREE, longitude=longitude / _DEGREE, altitude=altitude)
    return place if place.sound else None
