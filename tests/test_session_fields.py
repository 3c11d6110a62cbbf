"""What a field accepts, and what it says of what it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import pytest

from diffc_stream.session.fields import (
    Field,
    Flag,
    Hex,
    Integer,
    Many,
    Maybe,
    Name,
    Number,
    OneOf,
    Record,
    Text,
)


class Taste(Enum):
    """A choice."""

    SWEET = "sweet"
    SALTY = "salty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dish:
    """Something to nest."""

    name: Annotated[str, Name(10)]
    grams: Annotated[int, Integer(0, 999)] = 100
    hot: Annotated[bool, Flag()] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """Something that nests."""

    dishes: Annotated[tuple[Dish, ...], Many(Record(Dish), 2)]
    taste: Annotated[Taste, OneOf(Taste)] = Taste.SWEET
    price: Annotated[float | None, Maybe(Number(100.0))] = None


DISH, MENU = Record(Dish), Record(Menu)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((Integer(-1, 5), value) for value in (-1, 0, 5)),
        *((Number(10.0), value) for value in (10.0, 0.1, 5e-324)),
        *((Flag(), value) for value in (True, False)),
        *((Text(4), value) for value in ("", "äh!", "a b")),
        *((Name(9), value) for value in ("a", "a/b c", ".a", "...", "äää")),
        (Hex(4), "00ff"),
        (Maybe(Hex(4)), None),
        (Maybe(Hex(4)), "00ff"),
        (Many(Integer(0, 5), 3), ()),
        (Many(Integer(0, 5), 3), (1, 2, 3)),
    ],
)
def test_what_fits_is_itself(field: Field, value: object) -> None:
    assert field.parse(value) == value
    assert field.parse(field.plain(value)) == value


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        *((Integer(0, 5), value, "is not an integer") for value in (1.0, "1", True, None)),
        (Integer(0, 5), [], "is not an integer"),
        *((Integer(0, 5), value, "not within 0 to 5") for value in (-1, 6, 10**30)),
        *((Number(10.0), value, "is not a number") for value in ("1", True, None)),
        *((Number(10.0), value, "not above 0") for value in (0, -1, 10.1, math.nan, math.inf)),
        *((Flag(), value, "is neither true nor false") for value in (0, 1, "true", None)),
        *((Text(4), value, "is not text") for value in (b"a", 1, None)),
        (Text(4), "ääh!", "has more than 4 bytes"),
        *((Text(4), value, "cannot be printed") for value in ("\n", "a\0", "\u202e")),
        (Text(4), "\ud800", "is not Unicode text"),
        *((Name(9), value, "is not text") for value in (b"a", None)),
        (Name(9), "ääääa/b", "has more than 9 bytes"),
        *(
            (Name(9), value, "is not a relative path")
            for value in ("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a")
        ),
        *((Name(9), value, "no picture's name") for value in ("a\\b", "a\nb", "a\0")),
        (Name(9), "\ud800", "is not Unicode text"),
        *(
            (Hex(4), value, "is not 4 hex digits")
            for value in ("00f", "00fff", "00FF", "00fg", b"00ff", 0, None)
        ),
        *((OneOf(Taste), value, "none of sweet, salty") for value in ("sour", 0, None)),
        (OneOf(Taste), [], "none of sweet, salty"),
        *((Many(Flag(), 2), value, "is not an array") for value in ("ab", b"ab", 1, None)),
        (Many(Flag(), 2), {}, "is not an array"),
        (Many(Flag(), 2), [True] * 3, "has more than 2 elements"),
        (Many(Flag(), 2), [True, 1], "is neither true nor false"),
        (Maybe(Flag()), 0, "is neither true nor false"),
    ],
)
def test_what_does_not_fit_is_said(field: Field, value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        field.parse(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Integer(0, 5), 6),
        (Number(10.0), math.nan),
        (Text(4), "\n"),
        (Name(9), "../a"),
        (Hex(4), "XYZ!"),
        (OneOf(Taste), "sour"),
        (Many(Flag(), 2), (True,) * 3),
        (Many(Flag(), 2), 5),
        (Maybe(Flag()), 0),
        (DISH, Dish(name="", grams=5)),
    ],
)
def test_what_does_not_fit_is_not_written(field: Field, value: object) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        field.plain(value)


def test_whole_numbers_are_short() -> None:
    written = [Number(10.0).plain(value) for value in (3.0, 3, 3.5)]
    assert [(type(value), value) for value in written] == [(int, 3), (int, 3), (float, 3.5)]
    assert isinstance(Number(10.0).parse(3), float)


def test_choices_are_their_values() -> None:
    assert OneOf(Taste).plain(Taste.SALTY) == "salty"
    assert OneOf(Taste).parse("salty") is Taste.SALTY


def test_every_kind_says_what_it_holds() -> None:
    kinds = (Integer(0, 5), Number(0.5), Flag(), Text(4), Name(9), Hex(4), OneOf(Taste), DISH)
    assert [str(kind) for kind in kinds] == [
        *("integer 0..5", "number above 0, up to 0.5", "boolean", "text, 4 B", "name, 9 B"),
        *("4 hex digits", "sweet, salty", "[name, grams, hot]"),
    ]
    assert str(Maybe(Many(Flag(), 2))) == "array of boolean, at most 2; or nil"


@pytest.mark.parametrize(
    ("dish", "array"),
    [
        (Dish(name="soup"), ["soup"]),
        (Dish(name="soup", grams=100, hot=False), ["soup"]),
        (Dish(name="soup", grams=250), ["soup", 250]),
        (Dish(name="soup", hot=True), ["soup", 100, True]),
    ],
)
def test_a_record_is_written_without_its_last_defaults(dish: Dish, array: list[object]) -> None:
    assert DISH.plain(dish) == array
    assert DISH.parse(array) == dish


def test_a_record_may_be_longer_than_known() -> None:
    assert DISH.parse(["soup", 100, False, "vegan", None]) == Dish(name="soup")


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        ([], "fields are missing"),
        ("soup", "is not an array"),
        (b"soup", "is not an array"),
        (None, "is not an array"),
        ({"name": "soup"}, "is not an array"),
        ([7], "name is not text"),
        (["soup", None], "grams is not an integer"),
        (["soup", 100, 1], "hot is neither true nor false"),
    ],
)
def test_a_record_says_which_field_is_wrong(array: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        DISH.parse(array)


def test_records_nest() -> None:
    menu = Menu(dishes=(Dish(name="soup"), Dish(name="pie", hot=True)), price=7.0)
    array = [[["soup"], ["pie", 100, True]], "sweet", 7]
    assert MENU.plain(menu) == array
    assert MENU.parse(array) == menu
    assert MENU.plain(Menu(dishes=())) == [[]]
    # Of a newer version, inside and outside.
    assert MENU.parse([[["soup", 100, False, 5]], "sweet", None, 5]) == Menu(
        dishes=(Dish(name="soup"),)
    )


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        ([[["soup"], [5]]], "dishes name is not text"),
        ([[["soup", -1]]], "dishes grams is -1, not within 0 to 999"),
        ([[[]]], "dishes fields are missing"),
        ([["soup"]], "dishes is not an array"),
        ([[["soup"]] * 3], "dishes has more than 2 elements"),
    ],
)
def test_errors_name_the_fields_on_the_way(array: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        MENU.parse(array)


def test_what_cannot_be_written_is_named_too() -> None:
    with pytest.raises(ValueError, match=r"^dishes grams is 1000, not within 0 to 999$"):
        MENU.plain(Menu(dishes=(Dish(name="soup", grams=1000),)))
