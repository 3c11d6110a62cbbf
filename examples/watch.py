"""Receive a picture and measure its quality on the way: a receiver in few lines.

    python -m examples.watch ws://127.0.0.1:8765/photo.jpg --original photo.jpg --bytes 12000

It prints a table while it runs, and writes the received stream and a filmstrip of its pictures to a
folder.  The original serves to measure the quality; a real receiver does not have it, and uses the
predicted quality, which the table shows beside the measured one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from diffc_client import MemoryStream, Refinement, connect
from diffc_stream import Decoder, DiffcError, default_model, load_picture, psnr, save_png
from diffc_stream.destination import writing
from examples.filmstrip import Frame, filmstrip, milestones

HEADINGS = f"{'bytes':>9}  {'bpp':>6}  {'PSNR':>8}  {'predicted':>9}  {'after':>7}"


class ShownDecoders:
    """Decoders with the default model; ``newest`` gives access to the present observation."""

    def __init__(self) -> None:
        self._model = default_model()
        self.fingerprints = (self._model.fingerprint,)
        self.newest = self.new()

    def new(self) -> Decoder:
        """Return a new decoder for a stream."""
        self.newest = Decoder([self._model])
        return self.newest


class ShownStream(MemoryStream):
    """A stream that reports its length whenever it has grown."""

    def __init__(self, show: Callable[[int], None]) -> None:
        super().__init__()
        self._show = show

    def append(self, data: bytes) -> None:
        """Append the bytes that follow."""
        super().append(data)
        self._show(self.length)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the receiver and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(watch(options))
    except DiffcError as error:
        print(f"watch: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"watch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def watch(options: argparse.Namespace) -> None:
    """Receive, print and draw."""
    original = load_picture(options.original)
    url, _, name = options.url.rpartition("/")
    decoders, frames = ShownDecoders(), list[Frame]()
    ahead = milestones(options.bytes)
    console = Console(highlight=False)
    console.print(HEADINGS, style="bold")
    with _progress(console) as progress:
        task = progress.add_task("", total=options.bytes)
        kept = ShownStream(lambda length: progress.update(task, completed=length))
        async with connect(url, decoders=decoders) as sender:
            start = time.monotonic()
            async for refinement in sender.open(name, bytes=options.bytes, kept=kept):
                if not (refinement.complete or refinement.bytes >= ahead[0]):
                    continue
                ahead = [goal for goal in ahead if goal > refinement.bytes] or [options.bytes]
                if frames and frames[-1].bytes == refinement.bytes:
                    continue
                # Safe: no thread decodes until the next refinement is asked for.
                observation = await asyncio.to_thread(decoders.newest.observation)
                frames.append(_frame(refinement, observation, original))
                console.print(_row(frames[-1], refinement, time.monotonic() - start))
    with writing(options.out / f"{options.original.stem}.dfc") as file:
        file.write(kept.read())
    save_png(options.out / "filmstrip.png", filmstrip(frames, title=options.title))


def _frame(
    refinement: Refinement, observation: NDArray[np.uint8], original: NDArray[np.uint8]
) -> Frame:
    return Frame(
        picture=refinement.image,
        observation=observation,
        bytes=refinement.bytes,
        bpp=refinement.bpp,
        psnr=psnr(refinement.image, original),
    )


def _row(frame: Frame, refinement: Refinement, seconds: float) -> str:
    predicted = refinement.predicted_psnr
    told = "-" if predicted is None else f"{predicted:.2f} dB"
    quality = f"{frame.psnr:.2f} dB"
    return f"{frame.bytes:>9,}  {frame.bpp:>6.3f}  {quality:>8}  {told:>9}  {seconds:>5.1f} s"


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} bytes"),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="watch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="ws://HOST:PORT/PICTURE")
    parser.add_argument(
        "--original", metavar="FILE", type=Path, required=True, help="what the sender sends"
    )
    parser.add_argument(
        "--bytes", metavar="N", type=int, required=True, help="where the stream is to stop"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path(), help="an existing folder"
    )
    parser.add_argument("--title", default="", help="what to write above the filmstrip")
    return parser


if __name__ == "__main__":
    sys.exit(main())
