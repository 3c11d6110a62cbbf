"""The entropy coder of the exact simulators: the optional package ``constriction``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from diffc_stream.errors import MissingPackage


def constriction_stream() -> Any:
    """Return the module ``constriction.stream``.  Raises MissingPackage if it is not installed."""
    # Imported by name, because the package is optional and has no types.
    try:
        return import_module("constriction").stream
    except ImportError:
        raise MissingPackage(
            "the simulators pfr and dither need constriction: pip install 'diffc-stream[exact]'"
        ) from None
