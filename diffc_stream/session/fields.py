"""The kinds of fields that control messages are made of.

Each kind defines once what it accepts: for writing, for reading and, as ``str()``, for the table in
docs/protocol.md.  ``parse`` takes a value as MessagePack decoded it and returns the value that a
message holds; it raises ValueError with a phrase that fits after the field's name.  ``plain`` does
the reverse.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, get_args, get_type_hints

_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e\\]")
"""Characters that no picture's name has: control characters, line ends, overrides of the direction
of text, and the backslash, which separates folders on Windows."""


class Field(Protocol):
    """One kind of field."""

    def parse(self, value: object) -> object:
        """Return ``value`` as a message holds it; raise ValueError if it cannot be one."""
        ...

    def plain(self, value: object) -> object:
        """Return what MessagePack is given for ``value``; raise ValueError if it is not valid."""
        ...


class Plain:
    """A kind of field whose values MessagePack can encode as they are."""

    def parse(self, value: object) -> object:
        """Return ``value`` as a message holds it; raise ValueError if it cannot be one."""
        raise NotImplementedError

    def plain(self, value: object) -> object:
        """Return what MessagePack is given for ``value``; raise ValueError if it is not valid."""
        return self.parse(value)


@dataclass(frozen=True, slots=True)
class Integer(Plain):
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
class Number(Plain):
    """A finite number above 0 and up to ``high``."""

    high: float

    def parse(self, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError("is not a number")
        # Written so that a NaN fails too.
        if not 0 < value <= self.high:
            raise ValueError(f"is {value}, not above 0 and up to {self.high:g}")
        return float(value)

    def plain(self, value: object) -> int | float:
        number = self.parse(value)
        # A whole number takes one to three bytes, a floating-point number nine.
        return int(number) if number == int(number) else number

    def __str__(self) -> str:
        return f"number above 0, up to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Flag(Plain):
    """True or false."""

    def parse(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("is neither true nor false")
        return value

    def __str__(self) -> str:
        return "boolean"


@dataclass(frozen=True, slots=True)
class Text(Plain):
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
class Name(Plain):
    """The name of a picture: a relative path with forward slashes, safe to join to a folder.

    No empty, "." or ".." segment, no leading or trailing slash, no backslash, no control character,
    no end of a line, and nothing that overrides directions; at most ``limit`` bytes of UTF-8.
    """

    limit: int

    def parse(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("is not text")
        if len(_utf8(value)) > self.limit:
            raise ValueError(f"has more than {self.limit} bytes")
        if any(segment in ("", ".", "..") for segment in value.split("/")):
            raise ValueError("is not a relative path")
        if _NO_NAME.search(value):
            raise ValueError("has characters that no picture's name has")
        return value

    def __str__(self) -> str:
        return f"name, {self.limit} B"


@dataclass(frozen=True, slots=True)
class Hex(Plain):
    """A fingerprint or hash: ``digits`` lower-case hex digits."""

    digits: int

    def parse(self, value: object) -> str:
        right = isinstance(value, str) and len(value) == self.digits
        if not isinstance(value, str) or not right or set(value) - set("0123456789abcdef"):
            raise ValueError(f"is not {self.digits} hex digits")
        return value

    def __str__(self) -> str:
        return f"{self.digits} hex digits"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A member of ``choices``, sent as its value."""

    choices: type[Enum]

    def parse(self, value: object) -> Enum:
        try:
            return self.choices(value)
        except ValueError:
            raise ValueError(f"is none of {self._values()}") from None

    def plain(self, value: object) -> object:
        return self.choices(value).value

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

    def plain(self, value: object) -> object:
        if not isinstance(value, Sequence) or len(value) > self.limit:
            raise ValueError(f"has more than {self.limit} elements")
        return [self.item.plain(element) for element in value]

    def __str__(self) -> str:
        return f"array of {self.item}, at most {self.limit}"


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that may be nil."""

    item: Field

    def parse(self, value: object) -> object:
        return None if value is None else self.item.parse(value)

    def plain(self, value: object) -> object:
        return None if value is None else self.item.plain(value)

    def __str__(self) -> str:
        return f"{self.item}; or nil"


class Record:
    """An array of the fields of a dataclass, in order.

    The annotation of each field holds its kind.  The array may be longer, because a later version
    appended fields: those are ignored.  It may also lack fields at the end that have a default, and
    is written without them if they have it.
    """

    def __init__(self, of: type[Any]) -> None:
        hints = get_type_hints(of, include_extras=True)
        self._of = of
        self.fields: dict[str, Field] = {
            field.name: get_args(hints[field.name])[1] for field in dataclasses.fields(of)
        }
        self._defaults = {field.name: field.default for field in dataclasses.fields(of)}

    def parse(self, value: object) -> object:
        """Return an instance; raise ValueError if ``value`` is not the array of one."""
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise ValueError("is not an array")
        parsed: dict[str, object] = {}
        # Not strict: appended fields are ignored, and missing ones at the end have their defaults.
        for (name, field), element in zip(self.fields.items(), value, strict=False):
            try:
                parsed[name] = field.parse(element)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from error
        try:
            return self._of(**parsed)
        except TypeError:
            raise ValueError("fields are missing") from None

    def plain(self, value: object) -> list[object]:
        """Return the array for an instance; raise ValueError if a field does not fit."""
        elements: list[object] = []
        needed = 0
        for name, field in self.fields.items():
            element = getattr(value, name)
            try:
                elements.append(field.plain(element))
            except ValueError as error:
                raise ValueError(f"{name} {error}") from error
            if element != self._defaults[name]:
                needed = len(elements)
        return elements[:needed]

    def __str__(self) -> str:
        return f"[{', '.join(self.fields)}]"


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not Unicode text") from None
