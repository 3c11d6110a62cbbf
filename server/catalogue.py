"""Which files are served, and under what names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code
from diffc_stream.session.fields import Name

SUFFIXES = frozenset(
    [
        *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".jp2", ".j2k", ".tif", ".tiff"),
        *(".gif", ".bmp", ".ppm", ".pgm", ".pnm", ".dfc"),
    ]
)
"""What is served; upper case will do too."""

MOST_NAMES = 10_000
"""A catalogue lists so many; others can still be asked for by name."""


class Catalogue:
    """The pictures and streams below one folder.

    A picture's name is its path relative to the folder, with forward slashes.  Hidden files and
    folders, and links that lead out of the folder, do not exist.
    """

    def __init__(self, folder: Path) -> None:
        """Serve ``folder``.  Raises NotADirectoryError or FileNotFoundError."""
        self._folder = folder.resolve(strict=True)
        if not self._folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder")
        self._name = Name(255)

    def names(self) -> tuple[str, ...]:
        """Return the names of all pictures in order; walks the folder, so not quick."""
        return tuple(sorted(islice(self._walk(), MOST_NAMES)))

    def path(self, name: str) -> Path:
        """Return the file of that name.  Raises RequestRefused if there is none."""
        path = self._find(name)
        if path is None:
            raise RequestRefused(Code.UNKNOWN_IMAGE, f"there is no picture {name!r} here")
        return path

    def _find(self, name: str) -> Path | None:
        try:
            self._name.parse(name)
            if any(segment.startswith(".") for segment in name.split("/")):
                return None
            path = (self._folder / name).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return None  # not a name, no such file, or links in a circle
        inside = path.is_relative_to(self._folder) and path.is_file()
        return path if inside and Path(name).suffix.lower() in SUFFIXES else None

    def _walk(self) -> Iterator[str]:
        for top, folders, files in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for file in sorted(files):
                name = Path(top, file).relative_to(self._folder).as_posix()
                if self._find(name) is not None:
                    yield name
