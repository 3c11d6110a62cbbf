"""Watch pictures arrive over a slow link, in a browser.

    make view                                  scikit-image's photographs at 2,000 bytes per second
    make view IMAGES=photos/ RATE=500          your own photographs, your own link

This starts a sender daemon and ``diffc-client view`` in processes of their own, prints the address
of the page, opens it, and ends at Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffc_stream.errors import DiffcError
from diffc_stream.flags import number
from diffc_stream.threads import wait_asleep

from .demo import default_photo, end_at_sigterm, sender, told_to_stop, viewing

PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png"),
    *("retina.jpg", "rocket.jpg"),
)
"""The colour pictures in scikit-image's package."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; return an exit code, which is that of the error if there is one."""
    options = _parser().parse_args(arguments)
    wait_asleep()
    try:
        with folder_of(options.images) as folder:
            return asyncio.run(show(folder, options.rate, browser=options.browser))
    except DiffcError as error:
        print(f"view: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"view: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


@contextlib.contextmanager
def folder_of(images: Path | None) -> Iterator[Path]:
    """Return the folder to serve: the user's, or a temporary one with the photographs.

    Raises UnreadablePicture if there are none.
    """
    if images is not None:
        yield images
        return
    home = default_photo().parent
    with tempfile.TemporaryDirectory() as folder:
        for name in PHOTOGRAPHS:
            if (home / name).is_file():
                shutil.copyfile(home / name, Path(folder, name))
        yield Path(folder)


async def show(folder: Path, rate: float, *, browser: bool) -> int:
    """Serve ``folder`` until told to stop; return 1 if a daemon ends before that."""
    end_at_sigterm()
    async with (
        sender(folder, "--compare") as (host, port),
        viewing(f"ws://{host}:{port}", "--compare", rate=rate, browser=browser) as (process, url),
    ):
        print(f"watch at {rate:,.0f} bytes per second: {url} (Ctrl-C ends it)", flush=True)
        return 0 if await told_to_stop(process) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="view",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images", metavar="DIR", type=Path, nargs="?", help="a folder of any pictures"
    )
    parser.add_argument(
        "--rate",
        metavar="BYTES",
        type=number(1e9),
        default=2000.0,
        help="what the link carries per second (%(default)g)",
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="do not open a browser"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
