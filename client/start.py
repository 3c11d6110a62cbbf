"""The entry point of ``diffc-client``, which imports nothing slow itself."""

from __future__ import annotations

from collections.abc import Callable

from diffc_stream import interruption


def main() -> int:
    """Run ``diffc-client`` and return its exit code."""
    return interruption.run("diffc-client", _load)


def _load() -> Callable[[], int]:
    from .__main__ import main

    return main
