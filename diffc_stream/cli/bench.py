"""``diffc bench``: run the benchmarks, which need more packages than the other commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from diffc_stream.allocation import keep_freed_memory
from diffc_stream.cli.arguments import Commands

_SUMMARY = "measure what the codec gives, beside the codecs people use (needs the extra bench)"

_BENCHMARKS = {
    "rd": ("rate_distortion", "rate and distortion beside other codecs"),
    "rcc": ("channel_simulation", "what reverse channel coding costs"),
    "denoising": ("denoising", "how well a model takes noise away"),
    "gaussian": ("gaussian", "a Gaussian, where theory is exact"),
}
"""Modules of ``diffc_benchmarks``, each with a ``main``, and what they measure."""


def add(commands: Commands) -> None:
    """Add the command, for the list of commands: its flags are those of the benchmark."""
    commands.add_parser("bench", help=_SUMMARY, description=_SUMMARY)


def run(arguments: Sequence[str]) -> int:
    """Hand over to a benchmark and return its exit code."""
    parser = argparse.ArgumentParser(prog="diffc bench", description=_SUMMARY)
    parser.add_argument(
        "benchmark",
        choices=list(_BENCHMARKS),
        help="; ".join(f"{name}: {about}" for name, (_, about) in _BENCHMARKS.items()),
    )
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="see diffc bench BENCHMARK --help"
    )
    parsed = parser.parse_args(arguments)
    try:
        module = import_module(f"diffc_benchmarks.{_BENCHMARKS[parsed.benchmark][0]}")
    except ModuleNotFoundError as error:
        print(
            f"diffc: {error.name} is not installed: pip install 'diffc-stream[bench]'",
            file=sys.stderr,
        )
        return 1
    keep_freed_memory()
    code: int = module.main(parsed.arguments, prog=f"diffc bench {parsed.benchmark}")
    return code
