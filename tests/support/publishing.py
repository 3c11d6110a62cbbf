"""A folder of small pictures, published."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from viewing import scene, streamed

from diffc_stream.bulk.encoding import Settings
from diffc_stream.diffusion.collection import Collection
from diffc_stream.publishing.publication import Publication, publish

SETTINGS = Settings(bpp=0.4)
SIDE = 96


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
