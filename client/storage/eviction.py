"""Limits the size of a folder by deleting the least recently used files."""

from __future__ import annotations

from pathlib import Path


def evict(folder: Path, pattern: str, most_bytes: int, *, spare: Path) -> None:
    """Delete files of ``folder`` that match ``pattern`` until ``most_bytes`` are left.

    The pattern is as for a shell.  The files that were changed or touched longest ago are deleted
    first, and ``spare`` never.  Files that vanish meanwhile are ignored.  Raises OSError if one
    cannot be deleted.
    """
    found = []
    for path in folder.glob(pattern):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found.append((stat.st_mtime_ns, stat.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most_bytes:
            break
        if path != spare:
            path.unlink(missing_ok=True)
            total -= size
