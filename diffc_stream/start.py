"""The entry point of ``diffc``.  It must import nothing that takes long."""

from __future__ import annotations

from collections.abc import Callable

from diffc_stream import interruption


def main() -> int:
    """Run ``diffc`` and return its exit code."""
    return interruption.run("diffc", _load)


def _load() -> Callable[[], int]:
    from diffc_stream.cli import main

    return main
