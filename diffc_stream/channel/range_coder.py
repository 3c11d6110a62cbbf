"""Where the exact simulators find their entropy coder: the package ``constriction``, an extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from diffc_stream.errors import MissingPackage


def constriction_stream() -> Any:
    """Return ``constriction.stream``, of queues and models; raises MissingPackage without it."""
    # By name, as the package is optional and has no types.
    try:
        return import_module("constriction").stream
    except ImportError:
        raise MissingPackage(
            "the simulators pfr and dither need constriction: pip install 'diffc-stream[exact]'"
        ) from None
