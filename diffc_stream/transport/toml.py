"""Read TOML files that people write: of limited size, with or without a byte order mark."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def read_toml(path: Path, most: int) -> dict[str, Any]:
    """Return the contents of a TOML file.

    Raises OSError, OverflowError if it has more than ``most`` bytes, or ValueError, which says in
    one line why it is not TOML.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OverflowError(f"more than {most} bytes")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # Also for integers of thousands of digits.
        raise ValueError(" ".join(str(error).split())) from error
