"""A folder of small pictures, published."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from viewing import scene, streamed

from diffc_stream.bulk.encoding import Settings
from diffc_stream.diffusion.collection import Collection
from diffc_stream.publishing.publication import Publication, publish

SETTINGS = Settings(bpp=0.4)
SIDE = 96
TAKEN = 400_000 * 3600
"""When a camera's first picture was taken, in seconds since 1970: at a full hour."""


def photographs(folder: Path) -> Path:
    """Make a folder of two pictures, one of them in a folder, and a stream; return it."""
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(scene(SIDE, 1)).save(folder / "a b.png")
    Image.fromarray(scene(SIDE, 2)).save(folder / "sub" / "ü.png")
    (folder / "meadow.dfc").write_bytes(streamed(scene(SIDE, 3), 0.4))
    return folder


def published(source: Path, destination: Path, *, prune: bool = False) -> Publication:
    """Publish a folder."""
    return publish(source, destination, models=Collection.at_hand(), settings=SETTINGS, prune=prune)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by their paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def followed(folder: Path, numbers: Iterable[int], *, every: int = 60) -> Path:
    """Write pictures of a camera that were taken ``every`` so many seconds; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        frame = scene(SIDE, 1).copy()
        frame[40:46, 8 * number : 8 * number + 6] = 255
        path = folder / f"{number}.png"
        Image.fromarray(frame).save(path)
        os.utime(path, (TAKEN + every * number,) * 2)
    return folder
