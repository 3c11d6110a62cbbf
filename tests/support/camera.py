"""Pictures of a fixed camera, and their streams, each of which starts from the one before."""

import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sources import by_scale, picture

from diffc_stream import save_png
from diffc_stream.codec import Encoder
from diffc_stream.diffusion.model import Model
from diffc_stream.references import among, held

MODEL: Model = by_scale()
"""A model of small pictures that knows shaped noise, which references need."""
TAKEN = 400_000 * 3600
"""When the first picture was taken, in seconds since 1970: at a full hour."""
HALF = 600
"""Bytes of a stream that the next one starts from."""


def frames(count: int) -> list[NDArray[np.uint8]]:
    """Return pictures of 64 x 64 pixels in which a small square moves."""
    taken = []
    for number in range(count):
        frame = picture(1).copy()
        frame[40:46, 8 * number : 8 * number + 6] = 255
        taken.append(frame)
    return taken


@cache
def streams(count: int) -> tuple[bytes, ...]:
    """Return the streams of so many frames, called 0.dfc, 1.dfc and so on."""
    made: list[bytes] = []
    for number, frame in enumerate(frames(count)):
        reference = None
        if made:
            beginning, name = made[-1][:HALF], f"{number - 1}.dfc"
            reference = held(beginning, [MODEL], name=name, find=among(made))
        made.append(b"".join(Encoder(frame, MODEL, target_bytes=1200, reference=reference)))
    return tuple(made)


def write(folder: Path, count: int) -> Path:
    """Write the streams into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(streams(count)):
        (folder / f"{number}.dfc").write_bytes(data)
    return folder


def photograph(folder: Path, count: int, *, every: int = 60) -> Path:
    """Write frames as pictures, taken ``every`` so many seconds, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames(count)):
        path = folder / f"{number}.png"
        save_png(path, frame)
        os.utime(path, (TAKEN + every * number,) * 2)
    return folder
