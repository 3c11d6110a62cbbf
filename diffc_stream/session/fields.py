"""What a field of a control message may hold.

Each kind of field says once what it accepts, for writing, for reading and, as ``str()``, for the
table in docs/protocol.md.  ``parse`` takes what MessagePack made of the bytes and returns the
value a message holds, or raises ValueError with a phrase that fits after the field's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Field(Protocol):
    """One kind of field."""

    def parse(self, value: object) -> object:
        """Return ``value`` as a message holds it; raise ValueError if it cannot be one."""
        ...


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    def parse(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("is not an integer")
        if not self.low <= value <= self.high:
            raise ValueError(f"is {value}, not within {self.low} to {self.high}")
        return value

    def __str__(self) -> str:
        return f"integer {self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number above 0 and up to ``high``."""

    high: float

    def parse(self, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError("is not a number")
        # Written so that a NaN fails too.
        if not 0 < value <= self.high:
            raise ValueError(f"is {value}, not above 0 and up to {self.high:g}")
        return float(value)

    def __str__(self) -> str:
        return f"number above 0, up to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def parse(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("is neither true nor false")
        return value

    def __str__(self) -> str:
        return "boolean"


@dataclass(frozen=True, slots=True)
class Text:
    """One line of printable text, at most ``limit`` bytes of UTF-8."""

    limit: int

    def parse(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("is not text")
        if len(_utf8(value)) > self.limit:
            raise ValueError(f"has more than {self.limit} bytes")
        if not value.isprintable():
            raise ValueError("has characters that cannot be printed")
        return value

    def __str__(self) -> str:
        return f"text, {self.limit} B"


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a picture: a relative path with forward slashes, safe to join to a folder.

    No empty, "." or ".." segment, no leading or trailing slash, no backslash, only characters that
    can be printed; at most ``limit`` bytes of UTF-8.
    """

    limit: int

    def parse(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("is not text")
        if len(_utf8(value)) > self.limit:
            raise ValueError(f"has more than {self.limit} bytes")
        if any(segment in ("", ".", "..") for segment in value.split("/")):
            raise ValueError("is not a relative path")
        if not value.isprintable() or "\\" in value:
            raise ValueError("has characters that no picture's name has")
        return value

    def __str__(self) -> str:
        return f"name, {self.limit} B"


@dataclass(frozen=True, slots=True)
class Hex:
    """A fingerprint: 8 lower-case hex digits."""

    def parse(self, value: object) -> str:
        if not isinstance(value, str) or len(value) != 8 or set(value) - set("0123456789abcdef"):
            raise ValueError("is not 8 hex digits")
        return value

    def __str__(self) -> str:
        return "8 hex digits"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A member of ``choices``, sent as its value."""

    choices: type[Enum]

    def parse(self, value: object) -> Enum:
        try:
            return self.choices(value)
        except ValueError:
            raise ValueError(f"is none of {self._values()}") from None

    def __str__(self) -> str:
        return self._values()

    def _values(self) -> str:
        return ", ".join(str(choice.value) for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Many:
    """Up to ``limit`` fields of one kind."""

    item: Field
    limit: int

    def parse(self, value: object) -> tuple[object, ...]:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise ValueError("is not an array")
        if len(value) > self.limit:
            raise ValueError(f"has more than {self.limit} elements")
        return tuple(self.item.parse(element) for element in value)

    def __str__(self) -> str:
        return f"array of {self.item}, at most {self.limit}"


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that may be nil."""

    item: Field

    def parse(self, value: object) -> object:
        return None if value is None else self.item.parse(value)

    def __str__(self) -> str:
        return f"{self.item}; or nil"


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not Unicode text") from None
