"""Generates graphics to train on, since many pictures that are sent are not photographs.

Text, charts, heat maps, street maps, screens, line art, flat colour, and dark noisy frames, drawn
with Pillow and the font that it brings.  The same seed gives the same pictures with one version of
Pillow; nothing but training depends on them.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Drawing = Callable[[Image.Image, np.random.Generator], None]

SIDE = 256
"""Height and width of a graphic, in pixels."""
SMOOTH = 0.5
"""Share of graphics that are drawn at twice their size, so that edges are antialiased."""
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz ETAOINSHRDLU 0123456789.,:;-()/%+"


def graphic(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one graphic, (SIDE, SIDE, 3)."""
    scale = 2 if rng.random() < SMOOTH else 1
    image = Image.new("RGB", (SIDE * scale, SIDE * scale), _paper(rng))
    DRAWINGS[int(rng.integers(len(DRAWINGS)))](image, rng)
    return np.asarray(image.reduce(scale) if scale > 1 else image)


def _text(image: Image.Image, rng: np.random.Generator) -> None:
    """Lines of letters, as of a page or of a terminal."""
    _lines(image, rng, (0, 0, *image.size), _ink(image, rng))


def _chart(image: Image.Image, rng: np.random.Generator) -> None:
    """Axes, a grid, bars or curves, and a label for each."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    left, bottom = width // 8, height * 7 // 8
    ink, font = _ink(image, rng), _font(rng, width // 24)
    for tick in range(6):
        y = bottom - tick * bottom // 6
        draw.line((left, y, width, y), fill=_between(ink, image, 0.8))
        draw.text((2, y - width // 48), str(tick * int(rng.integers(1, 90))), fill=ink, font=font)
    count = int(rng.integers(4, 24))
    if rng.random() < 0.5:
        step = (width - left) / count
        for bar in range(count):
            x, top = left + bar * step, int(rng.integers(bottom // 8, bottom))
            draw.rectangle((x + 1, top, x + 0.7 * step, bottom), fill=_colour(rng))
    else:
        xs = np.linspace(left, width, 8 * count)
        for _ in range(int(rng.integers(1, 5))):
            ys = bottom * (0.5 + 0.1 * np.cumsum(rng.normal(0, 0.5, len(xs))))
            points = list(zip(xs.tolist(), ys.clip(0, bottom).tolist(), strict=True))
            draw.line(points, fill=_colour(rng), width=int(rng.integers(1, 4)))
    draw.line((left, 0, left, bottom, width, bottom), fill=ink, width=2)


def _heat_map(image: Image.Image, rng: np.random.Generator) -> None:
    """A smooth or blocky field in the colours of a scale, with contours."""
    cells = int(rng.integers(4, 24))
    resample = Image.Resampling.NEAREST if rng.random() < 0.4 else Image.Resampling.BICUBIC
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    values = np.asarray(coarse.resize(image.size, resample))
    stops = np.array([_colour(rng) for _ in range(int(rng.integers(2, 6)))], np.float64)
    places = np.linspace(0, 255, len(stops))
    colours = np.stack([np.interp(values, places, channel) for channel in stops.T], axis=-1)
    if rng.random() < 0.5:
        bands = values // 32
        edges = (bands != np.roll(bands, 1, 0)) | (bands != np.roll(bands, 1, 1))
        colours[edges] = 0
    image.paste(Image.fromarray(colours.astype(np.uint8)))


def _map(image: Image.Image, rng: np.random.Generator) -> None:
    """Areas of flat colour, roads with an edge, and names."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for _ in range(int(rng.integers(3, 12))):
        centre, reach = rng.uniform(0, width, 2), rng.uniform(0.1, 0.4) * width
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        rim = centre + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
        draw.polygon([tuple(point) for point in rim.tolist()], fill=_colour(rng, pale=True))
    for _ in range(int(rng.integers(4, 16))):
        course = rng.uniform(0, width, 2) + np.cumsum(rng.normal(0, width / 6, (6, 2)), 0)
        points = [tuple(point) for point in course.tolist()]
        thickness = int(rng.integers(2, max(4, width // 32)))
        draw.line(points, fill=(120, 120, 120), width=thickness + 2, joint="curve")
        draw.line(points, fill=_colour(rng, pale=True), width=thickness, joint="curve")
    font = _font(rng, width // 20)
    for _ in range(int(rng.integers(3, 12))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        draw.text(at, _words(rng, 8), fill=(40, 40, 40), font=font)


def _screen(image: Image.Image, rng: np.random.Generator) -> None:
    """Windows with bars, buttons and text within."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for _ in range(int(rng.integers(1, 4))):
        left, top = int(rng.integers(width * 2 // 3)), int(rng.integers(height * 2 // 3))
        right = left + int(rng.integers(width // 4, width))
        bottom = top + int(rng.integers(height // 4, height))
        bar = max(6, height // 14)
        draw.rectangle((left, top, right, bottom), fill=_paper(rng), outline=_colour(rng))
        draw.rectangle((left, top, right, top + bar), fill=_colour(rng))
        for button in range(int(rng.integers(0, 5))):
            x = left + 4 + button * width // 8
            box = (x, top + bar + 4, x + width // 10, top + 2 * bar)
            draw.rounded_rectangle(box, bar // 4, fill=_colour(rng, pale=True))
        inside = (left + 4, top + 2 * bar + 4, right - 4, bottom - 4)
        _lines(image, rng, inside, (20, 20, 20) if rng.random() < 0.5 else _colour(rng))


def _line_art(image: Image.Image, rng: np.random.Generator) -> None:
    """Curves, boxes and ellipses in one ink."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    ink, thickness = _ink(image, rng), int(rng.integers(1, 4))
    for _ in range(int(rng.integers(6, 40))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        box = (x, y, x + rng.uniform(4, width / 2), y + rng.uniform(4, height / 2))
        kind = rng.integers(4)
        if kind == 0:
            draw.rectangle(box, outline=ink, width=thickness)
        elif kind == 1:
            draw.ellipse(box, outline=ink, width=thickness)
        elif kind == 2:
            start, end = rng.uniform(0, 360, 2).tolist()
            draw.arc(box, start, end, fill=ink, width=thickness)
        else:
            draw.line(box, fill=ink, width=thickness)


def _flat(image: Image.Image, rng: np.random.Generator) -> None:
    """Few large areas of one colour or of a slow gradient, as of logos and slides."""
    width, height = image.size
    slope = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    if rng.random() < 0.5:
        slope = slope.transpose(1, 0, 2)
    first, second = np.array(_colour(rng)), np.array(_colour(rng))
    image.paste(Image.fromarray((first + slope * (second - first)).astype(np.uint8)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 7))):
        corners = rng.uniform(0, width, (int(rng.integers(3, 6)), 2))
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=_colour(rng))
    if rng.random() < 0.5:
        at = (int(rng.integers(width // 2)), int(rng.integers(height)))
        draw.text(at, _words(rng, 10), fill=_colour(rng), font=_font(rng, width // 6))


def _dark_frame(image: Image.Image, rng: np.random.Generator) -> None:
    """A night: few lights, and the noise of a sensor at high gain."""
    width, height = image.size
    y, x = np.mgrid[0:height, 0:width]
    light = np.full((height, width, 3), rng.uniform(0, 20))
    for _ in range(int(rng.integers(0, 9))):
        distance = (x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2
        reach = rng.uniform(1, width / 6) ** 2
        light += np.exp(-distance / reach)[..., None] * np.array(_colour(rng, pale=True))
    grain = rng.normal(0, rng.uniform(2, 14), (height, width, 3 if rng.random() < 0.7 else 1))
    image.paste(Image.fromarray((light + grain).clip(0, 255).astype(np.uint8)))


DRAWINGS: tuple[Drawing, ...] = (
    _text,
    _chart,
    _heat_map,
    _map,
    _screen,
    _line_art,
    _flat,
    _dark_frame,
)


def _lines(
    image: Image.Image, rng: np.random.Generator, box: tuple[int, int, int, int], ink: Colour
) -> None:
    """Fill a box with lines of letters."""
    left, top, right, bottom = box
    draw, size = ImageDraw.Draw(image), max(7, int(image.width * rng.uniform(0.03, 0.1)))
    font = _font(rng, size)
    for y in range(top + 2, bottom - size, int(size * rng.uniform(1.15, 1.6))):
        letters = int((right - left) / (0.55 * size) * rng.uniform(0.3, 1.0))
        draw.text((left + 2, y), _words(rng, max(1, letters)), fill=ink, font=font)


def _words(rng: np.random.Generator, count: int) -> str:
    return "".join(rng.choice(list(_LETTERS), count))


def _font(rng: np.random.Generator, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(7.0, size * rng.uniform(0.8, 1.3)))


def _paper(rng: np.random.Generator) -> Colour:
    """Return a background colour: mostly white, else dark or pale."""
    kind = rng.random()
    if kind < 0.5:
        return (255, 255, 255)
    shade = int(rng.integers(0, 60))
    return (shade, shade, shade) if kind < 0.75 else _colour(rng, pale=True)


def _ink(image: Image.Image, rng: np.random.Generator) -> Colour:
    """Return a colour that is visible on an image's background: black, white or a colour."""
    light = np.asarray(image.resize((1, 1))).mean() > 127
    if rng.random() < 0.3:
        hue, shade = rng.random(), 0.5 if light else 1.0
        return _scaled(colorsys.hsv_to_rgb(hue, 0.8, shade))
    return (10, 10, 10) if light else (240, 240, 240)


def _between(ink: Colour, image: Image.Image, share: float) -> Colour:
    paper = np.asarray(image.resize((1, 1))).reshape(3)
    mixed = (1 - share) * np.array(ink) + share * paper
    return (int(mixed[0]), int(mixed[1]), int(mixed[2]))


def _colour(rng: np.random.Generator, *, pale: bool = False) -> Colour:
    saturation = rng.uniform(0.05, 0.4) if pale else rng.uniform(0.0, 1.0)
    value = rng.uniform(0.8, 1.0) if pale else rng.uniform(0.1, 1.0)
    return _scaled(colorsys.hsv_to_rgb(rng.random(), saturation, value))


def _scaled(colour: tuple[float, float, float]) -> Colour:
    red, green, blue = (int(255 * share) for share in colour)
    return red, green, blue
