"""Sequences as a fixed camera takes them, made of photographs: what is in them is known.

A still scene is a photograph.  Things in it are round pieces of other photographs; light, noise and
shake are added.  Everything follows from the photographs and a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

NOISE = 1.5
"""Standard deviation of the camera's noise, in grey levels."""
MARGIN = 8
"""Pixels around the scene that a shaken camera may see."""
THINGS = 2
SIZE = 0.13
"""Height and width of a thing, as a share of the scene's height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What differs between the pictures of a camera."""

    number: int
    """Of the picture, from 0."""
    moves: bool = False
    lit: bool = False
    shaken: bool = False
    cut: bool = False
    """Whether every picture shows another scene."""


KINDS: dict[str, Callable[[int], Moment]] = {
    "still": lambda number: Moment(number=number),
    "moving": lambda number: Moment(number=number, moves=True),
    "light": lambda number: Moment(number=number, lit=True),
    "shake": lambda number: Moment(number=number, moves=True, shaken=True),
    "all": lambda number: Moment(number=number, moves=True, lit=True, shaken=True),
    "cut": lambda number: Moment(number=number, cut=True),
}
"""What happens in a sequence: nothing but noise, things that move (under 5 % of the frame changes),
light that changes, shake and movement, all of these, another scene every time."""


def pictures(
    photographs: Sequence[Picture], kind: str, count: int, size: tuple[int, int], seed: int
) -> Iterator[Picture]:
    """Yield ``count`` pictures of ``size`` (height, width) of a sequence of ``kind``."""
    scenes = [_filled(photograph, size) for photograph in photographs]
    for number in range(count):
        yield _picture(scenes, KINDS[kind](number), size, seed)


def _picture(scenes: Sequence[Floats], moment: Moment, size: tuple[int, int], seed: int) -> Picture:
    random = np.random.default_rng((seed, moment.number))
    first = seed + moment.number if moment.cut else seed
    scene = scenes[first % len(scenes)].copy()
    for thing in range(THINGS):
        _put(scene, scenes[(seed + 1 + thing) % len(scenes)], thing, moment, size)
    if moment.lit:
        scene *= _light(moment.number, scene.shape[0], scene.shape[1])
    down, right = random.uniform(-3, 3, 2) if moment.shaken else (0.0, 0.0)
    seen = _moved(scene, float(down), float(right), size)
    seen += random.normal(0, NOISE, seen.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def _put(scene: Floats, other: Floats, thing: int, moment: Moment, size: tuple[int, int]) -> None:
    """Lay a thing over the scene, at its place on a circle."""
    height, width = size
    side = max(4, round(SIZE * height))
    turn = 2 * pi * (thing / THINGS + (moment.number / 24 if moment.moves else 0.0))
    top = MARGIN + round((height - side) * (0.5 + 0.4 * sin(turn)))
    left = MARGIN + round((width - side) * (0.5 + 0.4 * cos(turn)))
    rows, columns = np.mgrid[0:side, 0:side]
    radius = np.hypot(rows - (side - 1) / 2, columns - (side - 1) / 2) / (side / 2)
    share = np.clip(6 * (1 - radius), 0, 1)[..., None]
    here = scene[top : top + side, left : left + side]
    here += share * (other[MARGIN : MARGIN + side, MARGIN : MARGIN + side] - here)


def _light(number: int, height: int, width: int) -> Floats:
    """Return the light, (H, W, 1): it grows and fades, and comes more from one side."""
    phase = 2 * pi * number / 24
    across = np.linspace(-1, 1, width)[None, :] * np.ones((height, 1))
    return (0.8 + 0.2 * cos(phase) + 0.15 * sin(phase) * across)[..., None]


def _moved(scene: Floats, down: float, right: float, size: tuple[int, int]) -> Floats:
    """Return the part of the scene that a camera sees that has moved by parts of pixels."""
    rows = MARGIN + down + np.arange(size[0])
    columns = MARGIN + right + np.arange(size[1])
    return _between(_between(scene, rows.astype(np.float64), 0), columns.astype(np.float64), 1)


def _between(scene: Floats, places: Floats, axis: int) -> Floats:
    whole = np.floor(places).astype(np.intp)
    shape = [1, 1, 1]
    shape[axis] = places.size
    part = (places - whole).reshape(shape)
    before, after = scene.take(whole, axis=axis), scene.take(whole + 1, axis=axis)
    return np.asarray((1 - part) * before + part * after)


def _filled(photograph: Picture, size: tuple[int, int]) -> Floats:
    """Reduce a photograph so that it fills the scene and its margins, and cut off the rest."""
    height, width = size[0] + 2 * MARGIN + 2, size[1] + 2 * MARGIN + 2
    image = Image.fromarray(photograph)
    scale = max(height / image.height, width / image.width)
    image = image.resize(
        (max(width, round(image.width * scale)), max(height, round(image.height * scale))),
        Image.Resampling.LANCZOS,
    )
    return np.asarray(image, np.float64)[:height, :width].copy()
