"""Receive a picture in a script, without an event loop or threads, and keep its stream.

    python -m examples.script ws://127.0.0.1:8765/coffee.jpg coffee.png --psnr 30

Run it again with --psnr 33, and only the rest is sent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import diffc_client
from diffc_client import FileStream
from diffc_stream import DiffcError, save_png
from diffc_stream.threads import wait_asleep


def main(arguments: Sequence[str] | None = None) -> int:
    """Receive the picture and return the exit code."""
    parser = argparse.ArgumentParser(prog="script", description=__doc__.partition("\n")[0])
    parser.add_argument("url", metavar="URL", help="ws://HOST:PORT/PICTURE")
    parser.add_argument("out", metavar="OUT", type=Path, help="PNG to write")
    parser.add_argument("--psnr", metavar="DB", type=float, help="good enough, as predicted")
    options = parser.parse_args(arguments)
    wait_asleep()
    try:
        receive(options.url, options.out, options.psnr)
    except (DiffcError, OSError) as error:
        print(f"script: {error}", file=sys.stderr)
        return 1
    return 0


def receive(url: str, out: Path, psnr: float | None) -> None:
    """Write ``out`` after every refinement, and its stream to a file beside it."""
    with FileStream(out.with_suffix(".dfc")) as kept:
        for refinement in diffc_client.stream(url, psnr=psnr, kept=kept):
            save_png(
                out, refinement.image, text=refinement.description, metadata=refinement.metadata
            )
            quality = refinement.predicted_psnr or 0.0
            print(f"{refinement.bytes:,} bytes, about {quality:.1f} dB")


if __name__ == "__main__":
    sys.exit(main())
