"""What one stream of a picture shows at each rate, in every rendering.

The picture is encoded once, to the highest rate, and written to disk; every other rate is a prefix
of that file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec import Decoder, Encoder, EncodeReport
from diffc_stream.destination import writing
from diffc_stream.diffusion.model import Model
from diffc_stream.picture import load_picture

from .quality import Quality
from .realism import patch_distance

DIAL_RATES = (0.05, 0.4)
"""Lowest and highest bits per pixel at which the dial is looked at."""
ANCESTRAL_RATES = (0.1, 0.4)
"""Where ``ancestral`` is looked at, which takes the most evaluations and gives the least."""
DIAL = (0.25, 0.5, 0.75)
"""Positions between ``mmse``, which is 0, and ``flow``, which is 1."""
TWICE = "mmse x2"
"""mmse averaged over two symmetries, which is what ``diffc decode`` gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One rendering of a prefix."""

    rate: float
    """Bits per pixel allowed."""
    rendering: str
    """A method, "mmse x2" (:data:`TWICE`), or "dial" and its position."""
    bytes: int
    evaluations: float
    """Of the denoiser for this rendering alone, beyond decoding, in full-resolution equivalents."""
    quality: Quality
    shown: str
    """The picture, an array in the folder of pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """What one picture gave."""

    image: str
    width: int
    height: int
    report: EncodeReport
    points: list[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A picture to stream."""

    path: Path
    model: Callable[[], Model]
    rates: tuple[float, ...]
    streams: Path
    """Folder where the stream is left."""
    shown: Path
    """Folder where the pictures are left, as arrays."""
    seed: int = 0


def streamed(task: Task) -> Streamed:
    """Encode a picture to disk and look at prefixes of the file."""
    original = load_picture(task.path)
    height, width = original.shape[:2]
    model = task.model()
    limits = {rate: int(rate * height * width / 8) for rate in sorted(task.rates)}
    encoder = Encoder(original, model, target_bytes=max(limits.values()), seed=task.seed)
    file = task.streams / f"{task.path.name}.dfc"
    with writing(file) as out:
        for piece in encoder:
            out.write(piece)
    decoder, points = Decoder([model]), []
    with file.open("rb") as stream:
        for rate, limit in limits.items():
            decoder.feed(stream.read(limit - decoder.bytes_received))
            if not decoder.ready:
                continue
            for rendering, image, evaluations in _renderings(decoder, rate):
                name = f"{task.path.name}-{rate:g}-{rendering.replace(' ', '-')}.npy"
                np.save(task.shown / name, image)
                point = Point(
                    rate=rate,
                    rendering=rendering,
                    bytes=decoder.bytes_received,
                    evaluations=evaluations,
                    quality=Quality.of(image, original),
                    shown=name,
                )
                points.append(point)
    return Streamed(
        image=task.path.name, width=width, height=height, report=encoder.report(), points=points
    )


def pooled(task: tuple[Sequence[Path], Sequence[Path]]) -> float:
    """Return the distance between patches of pictures and of arrays of what is shown."""
    paths, arrays = task
    return patch_distance([load_picture(path) for path in paths], [np.load(a) for a in arrays])


def _renderings(decoder: Decoder, rate: float) -> list[tuple[str, NDArray[np.uint8], float]]:
    """Return names, pictures and evaluations of all renderings looked at."""
    before = decoder.evaluations
    mmse = decoder.render("mmse").image
    after = decoder.evaluations
    flow = decoder.render("flow").image
    spent = decoder.evaluations - after
    twice = decoder.render("mmse", symmetries=2).image
    found = [
        ("mmse", mmse, after - before),
        (TWICE, twice, decoder.evaluations - after - spent),
        ("flow", flow, spent),
    ]
    if DIAL_RATES[0] <= rate <= DIAL_RATES[1]:
        for position in DIAL:
            # What Decoder.render gives, without computing flow again.
            blend = mmse + position * (flow.astype(np.float32) - mmse)
            found.append((f"dial {position:g}", np.round(blend).astype(np.uint8), spent))
    if rate in ANCESTRAL_RATES:
        before = decoder.evaluations
        ancestral = decoder.render("ancestral").image
        found.append(("ancestral", ancestral, decoder.evaluations - before))
    return found
