"""The folder of photographs that a benchmark measures, and where the figures come from."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from diffc_stream.errors import UnreadablePicture

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
MOST_PICTURES = 1000
"""A folder of more is taken for a mistake."""


def pictures(folder: Path, every: int = 1) -> list[Path]:
    """Return every ``every``-th picture of ``folder`` by name.

    Raises UnreadablePicture if there are none, or more than :data:`MOST_PICTURES`.
    """
    if not folder.is_dir():
        raise UnreadablePicture(f"{folder}: not a folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[::every]
    if not found:
        raise UnreadablePicture(f"{folder}: no pictures ({', '.join(sorted(SUFFIXES))})")
    if len(found) > MOST_PICTURES:
        raise UnreadablePicture(
            f"{folder}: {len(found)} pictures, more than {MOST_PICTURES}; take every N-th"
        )
    return found


def commit() -> str:
    """Return the commit measured, or "unknown" outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def machine() -> str:
    """Return the processor, as far as it says, and how many of its cores may be used."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name}, {cores()} cores"


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
