"""Stream a photograph over a slow link, and draw how it improved on the way.

    make demo                                  scikit-image's coffee at 2,000 bytes per second
    make demo IMAGE=photo.jpg RATE=500         your own photograph, your own link

This starts a sender daemon and a receiver (``examples/watch.py``) in processes of their own, and
relays the bytes between them at the given rate.  It writes the received stream and a filmstrip to
demo/.  In a terminal it then serves the same in a browser, over the same link, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from diffc_stream import load_picture, save_png
from diffc_stream.errors import DiffcError, LinkLost, UnreadablePicture
from diffc_stream.threads import wait_asleep
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment
from diffc_viewer import Assets

SERVED_AS_IT_IS = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
FEWEST_BYTES = 300
"""Least target in bytes, for tiny pictures."""
PATIENCE = 10.0
"""Seconds that the daemons get to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """The settings of the demo."""

    photo: Path
    height: int
    width: int
    rate: float
    """Bytes per second."""
    target: int
    """Bytes after which to stop."""
    out: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code, which is that of the error if there is one."""
    options = _parser().parse_args(arguments)
    wait_asleep()
    try:
        photo = (options.image or default_photo()).resolve()
        height, width = load_picture(photo).shape[:2]
        target = max(FEWEST_BYTES, round(options.bpp * height * width / 8))
        options.out.mkdir(parents=True, exist_ok=True)
        show = Show(
            photo=photo,
            height=height,
            width=width,
            rate=options.rate,
            target=target,
            out=options.out,
        )
        print(
            f"{photo.name}, {width} x {height} pixels, up to {target:,} bytes: "
            f"at least {target / options.rate:,.0f} s at {options.rate:,.0f} bytes per second",
            flush=True,
        )
        return asyncio.run(stream(show))
    except DiffcError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def default_photo() -> Path:
    """Return the photograph in scikit-image.  Raises UnreadablePicture without it."""
    found = importlib.util.find_spec("skimage")  # not imported, which would take a second
    for folder in (found and found.submodule_search_locations) or ():
        photo = Path(folder, "data", "coffee.png")
        if photo.is_file():
            return photo
    raise UnreadablePicture("the photograph of scikit-image is not here: name one with --image")


async def stream(show: Show) -> int:
    """Send, relay and receive; return the receiver's exit code."""
    end_at_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        name = await asyncio.to_thread(offered, show.photo, Path(folder))
        slow = Impairment(rate=show.rate)
        async with (
            sender(Path(folder)) as (host, port),
            Link(host, port, down=slow) as link,
            receiver(show, f"ws://127.0.0.1:{link.port}/{name}") as process,
        ):
            code = await process.wait()
            if code == 0:
                print(
                    f"{link.carried_down:,} bytes crossed the link, framing and handshake included"
                )
                print(f"the received stream and the filmstrip are in {show.out}/")
                await offer_viewer(f"ws://{host}:{port}/{name}", show.rate)
    return code


async def offer_viewer(url: str, rate: float) -> None:
    """Say how to watch in a browser; in a terminal, also serve the page until Ctrl-C."""
    if not (sys.stdout.isatty() and Assets().complete):
        print(f"to watch it in a browser: make view RATE={rate:g}")
        return
    async with viewing(url, rate=rate, browser=False) as (process, address):
        print(f"watch it in a browser: {address} (Ctrl-C ends it)", flush=True)
        await told_to_stop(process)


def end_at_sigterm() -> None:
    """Let SIGTERM cancel the present task, as Ctrl-C does, so that its daemons end too."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # not on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def told_to_stop(process: Process) -> bool:
    """Wait for Ctrl-C, or SIGTERM; return False if ``process`` ends before that."""
    told = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # not on Windows
            asyncio.get_running_loop().add_signal_handler(signum, told.set)
    waiting = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(process.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for other in waiting:
        other.cancel()
    return told.is_set()


def offered(photo: Path, folder: Path) -> str:
    """Copy ``photo`` into a sender's folder under a plain name, and return that name."""
    suffix = photo.suffix.lower()
    if suffix in SERVED_AS_IT_IS:
        shutil.copyfile(photo, folder / f"photo{suffix}")
        return f"photo{suffix}"
    save_png(folder / "photo.png", load_picture(photo))
    return "photo.png"


@asynccontextmanager
async def sender(folder: Path, *more: str) -> AsyncIterator[tuple[str, int]]:
    """Run a sender daemon on ``folder``; yields its address."""
    command = ("-m", "diffc_server", str(folder), "--port", "0", "--json", "--log-level", "error")
    async with _running(*command, *more, stdout=PIPE) as process:
        host, _, port = (await _address(process)).removeprefix("ws://").rpartition(":")
        yield host, int(port)


@asynccontextmanager
async def viewing(
    url: str, *more: str, rate: float, browser: bool
) -> AsyncIterator[tuple[Process, str]]:
    """Run ``diffc-client view`` for the sender at ``url``; yields it, and the page's address."""
    command = ("-m", "diffc_client", "view", url, "--rate", str(rate), "--json", *more)
    quiet = () if browser else ("--no-browser",)
    async with _running(*command, *quiet, stdout=PIPE) as process:
        yield process, await _address(process)


async def _address(process: Process) -> str:
    """Return the address that a daemon prints.  Raises LinkLost if it prints nothing."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise LinkLost("a daemon did not start")
    url: str = json.loads(line)["url"]
    return url


@asynccontextmanager
async def receiver(show: Show, url: str) -> AsyncIterator[Process]:
    """Run a receiver, which prints its table to our standard output."""
    command = ("-m", "examples.watch", url, "--original", str(show.photo))
    limits = ("--bytes", str(show.target), "--out", str(show.out.resolve()))
    title = (
        f"{show.photo.name}, {show.width} x {show.height} pixels, "
        f"over a link of {show.rate:,.0f} bytes per second"
    )
    async with _running(*command, *limits, "--title", title) as process:
        yield process


@asynccontextmanager
async def _running(*command: str, stdout: int | None = None) -> AsyncIterator[Process]:
    """Run a Python command; leaving the block terminates it, or kills it if that fails."""
    root = Path(__file__).parent.parent
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=stdout, cwd=root
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--image", metavar="FILE", type=Path, help="any photograph")
    parser.add_argument(
        "--rate",
        metavar="BYTES",
        type=_positive,
        default=2000.0,
        help="what the link carries per second (%(default)g)",
    )
    parser.add_argument(
        "--bpp",
        metavar="BITS",
        type=_positive,
        default=0.4,
        help="bits per pixel at which to stop (%(default)g)",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("demo"), help="(%(default)s)"
    )
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
