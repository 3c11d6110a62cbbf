"""Results that took long, kept in files until what they depend on changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from diffc_stream.destination import writing

MOST_BYTES = 2**24
"""A larger file is not one of ours."""


def kept(path: Path, depends_on: object, compute: Callable[[], object]) -> object:
    """Return the result in ``path`` if it was computed from the same, else compute and keep it.

    Results are what JSON can hold.  ``depends_on`` counts by its ``repr``.
    """
    key = hashlib.sha256(repr(depends_on).encode()).hexdigest()
    found = _read(path)
    if isinstance(found, dict) and found.get("key") == key:
        return found["result"]
    result = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        file.write(json.dumps({"key": key, "result": result}, indent=1).encode())
    return result


def _read(path: Path) -> object:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # not there, or damaged: computed again
