"""How far a stream is wanted."""

from __future__ import annotations

import dataclasses

import pytest

from diffc_stream.session import WHOLE, Open, Target, TargetOptions, Update


def test_the_whole_has_no_length() -> None:
    assert Target() == WHOLE
    assert WHOLE.length(10**6) is None


@pytest.mark.parametrize(
    ("target", "length"),
    [
        (Target(bytes=1000), 1000),
        (Target(bpp=0.5), 75),
        (Target(bpp=0.499), 74),  # never more than was asked for
        (Target(bpp=0.001), 0),
        (Target(bytes=1000, bpp=0.5), 75),
        (Target(bytes=50, bpp=0.5), 50),
        (Target(side=512, psnr=30.0), None),
        (Target(bytes=50, side=512, psnr=30.0), 50),
    ],
)
def test_what_is_reached_first_counts(target: Target, length: int | None) -> None:
    assert target.length(1200) == length


def test_messages_carry_all_of_it() -> None:
    target = Target(bytes=4000, bpp=0.5, side=512, psnr=31.5)
    fields = {"bytes": 4000, "bpp": 0.5, "side": 512, "psnr": 31.5}
    assert Open(stream=1, image="a.png", **fields).target == target  # type: ignore[arg-type]
    assert Update(stream=1, **fields).target == target  # type: ignore[arg-type]
    assert Open(stream=1, image="a.png").target == WHOLE
    assert Update(stream=1).target == WHOLE


def test_the_keywords_of_functions_are_the_fields() -> None:
    fields = {field.name for field in dataclasses.fields(Target)}
    assert set(TargetOptions.__annotations__) == fields
