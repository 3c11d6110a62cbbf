"""The command ``diffc-client``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Before anything that takes long is imported: see there.
    from .start import main as start

    sys.exit(start())

import argparse
import asyncio
import contextlib
import json
import logging
import os
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.allocation import keep_freed_memory
from diffc_stream.console import escape_what_cannot_be_shown
from diffc_stream.destination import is_standard
from diffc_stream.errors import AddressError, DiffcError, one_line
from diffc_stream.flags import add_max_pixels, add_quality, add_rendering, integer, number
from diffc_stream.formats import FORMATS
from diffc_stream.session import (
    MAX_BPP,
    MAX_PSNR,
    MAX_SIDE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    Entry,
    Terms,
)
from diffc_stream.threads import wait_asleep
from diffc_stream.transport.logging import add_logging, start_logging
from diffc_stream.transport.settings import Configuration, add_configuration
from diffc_stream.transport.signals import on_stop, stay

from .cli import mirror as mirroring
from .cli.list import line
from .cli.mirror import LONGEST
from .remote.address import Address
from .remote.credentials import Access, access_from, check_one_host

if TYPE_CHECKING:
    from .decoding.refiner import Refinement

DESCRIPTION = """\
Receive pictures from a diffc-server: ever better ones, over any link that carries a few hundred
bytes a second.
"""

EXIT_CODES = """\
environment: DIFFC_ENGINE says what runs models, onnxruntime (if it can) or torch; DIFFC_TOKEN is
shown where a token is wanted, DIFFC_CA is a file of authorities to believe; http_proxy,
https_proxy, all_proxy and no_proxy are as for others
exit codes: 0 done, 1 OUT cannot be written, 2 wrong usage, 3 too few bytes for any picture,
5 the stream is damaged, 6 its model is not here, 7 the link or the sender, 8 the sender
wants a token, or another, or a safer way to it, 130 interrupted
"""

EXAMPLES = (
    """\
examples:
  diffc-client list ws://station:8765
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --bpp 0.2 --keep-stream coffee.dfc
  diffc-client run ws://station:8765 pictures/
  diffc-client mirror ws://station:8765 pictures/
  diffc-client view ws://station:8765

"""
    + EXIT_CODES
)

GET_DESCRIPTION = """\
Fetch one picture and write it when it is complete, in the format of OUT's suffix.  The link may
break meanwhile: what has come is not asked for again, in later calls neither.
"""

GET_EXAMPLES = (
    """\
examples:
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png
      all that the sender has
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --bytes 4000
      the picture that 4,000 bytes give
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --psnr 30
      as good as that, as far as the sender can predict; asked again with 33, only the rest is sent
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --bpp 0.2 --keep-stream coffee.dfc
      keep the stream too; the same command again, with --bpp 0.4, continues it
  diffc-client get https://example.org/coffee.jpg.dfc -o coffee.png --bpp 0.2
      a stream that lies on any web server or object store
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --render flow
      looks real rather than smooth: its detail is synthesised

"""
    + EXIT_CODES
)

RUN_DESCRIPTION = """\
Stay up and keep what senders have: every picture as DIR/HOST_PORT/NAME.png, rewritten as it gets
better, and its stream as NAME.dfc, which is continued after a break of the link or a restart.
"""

RUN_EXAMPLES = """\
examples:
  diffc-client run ws://station:8765 pictures/
      everything that the sender has, asked for again every minute
  diffc-client run ws://station:8765/coffee.jpg ws://ship:8765 pictures/
      one picture here, everything there
  diffc-client run --config station.toml
      as the table [run] in there says: urls = ["ws://station:8765"], folder = "pictures"

An option --some-thing can also stand in the environment, as DIFFC_CLIENT_SOME_THING; flags count
most, then that, then the file, and --no-some-thing takes one back.
Ends at SIGINT or SIGTERM, with exit code 0.
"""

VIEW_DESCRIPTION = """\
Look at a sender's pictures in a browser, while they come.  The page is served from here, at the
address that is printed, so that only the pictures cross the link.
"""

VIEW_EXAMPLES = """\
examples:
  diffc-client view ws://station:8765
      all that the sender has
  diffc-client view ws://station:8765/coffee.jpg
      one picture
  diffc-client view ws://localhost:8765 --rate 2000
      as over a link of 2,000 bytes a second

Ends at SIGINT or SIGTERM, with exit code 0.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    escape_what_cannot_be_shown()
    arguments = sys.argv[1:] if arguments is None else arguments
    parser, configuration = _parser()
    try:
        if arguments and arguments[0] in configuration.settings:
            told = configuration.read(arguments[0], arguments[1:], os.environ)
            options = told.options
            if options.print_config:
                print(told.toml(), end="")
                return 0
        else:
            options = parser.parse_args(arguments)
        keep_freed_memory()
        wait_asleep()
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except DiffcError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(one_line(error), 1)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)


def _get(options: argparse.Namespace) -> int:
    # Late, because they bring the codec, which --help can do without.
    from .cli.get import Request, fetch
    from .decoding.decoders import ModelDecoders
    from .storage.cache import usual_folder

    # Before the model is loaded: a mistyped address should not take a second to be told.
    address = Address.parse(options.url)
    request = Request(
        url=address.url,
        out=options.out,
        bytes=options.bytes,
        bpp=options.bpp,
        side=options.side,
        psnr=options.psnr,
        quality=options.quality,
        render=options.render,
        keep_stream=options.keep_stream,
        store=None if options.no_cache else usual_folder(),
        patience=options.patience,
        terms=Terms(window=options.window),
        access=_access(options),
    )
    decoders = ModelDecoders.load(options.model, max_pixels=options.max_pixels)
    with _progress(options) as show:
        fetched = asyncio.run(fetch(request, decoders, show))
    summary = f"{fetched.out}: {_summary(fetched.bytes, fetched.bpp, fetched.predicted_psnr)}"
    print(
        json.dumps(asdict(fetched)) if options.json else summary,
        file=sys.stderr if is_standard(options.out) else sys.stdout,
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    from .remote.websocket import Link

    address = Address.parse(options.url)
    if address.plain:
        raise AddressError(f"{options.url!r} has no catalogue: ask its sender, ws://HOST:PORT")

    async def entries() -> tuple[list[Entry], int]:
        link = await Link.dial(address, models=(), terms=Terms(), access=_access(options))
        try:
            return await link.catalogue(), link.left_out
        finally:
            await link.close()

    listed, left_out = asyncio.run(entries())
    for entry in listed:
        if options.json:
            print(json.dumps(asdict(entry)))
        else:
            print(line(entry))
    if left_out:
        older = f"{left_out:,} older pictures are left out, and can be asked for by name"
        print(f"diffc-client: {older}", file=sys.stderr)
    return 0


def _run(options: argparse.Namespace) -> int:
    from .cli.run import Place, ReceiverDaemon
    from .decoding.decoders import ModelDecoders

    start_logging(options.log_level, options.log_format)
    logging.getLogger("websockets").setLevel(logging.ERROR)
    logger = logging.getLogger("diffc_client")

    def log(place: Place, refinement: Refinement) -> None:
        summary = _summary(refinement.bytes, refinement.bpp, refinement.predicted_psnr)
        note = ", complete" if refinement.complete else ""
        logger.info("%s: %s%s", place.picture, summary, note)

    addresses, access = [Address.parse(url) for url in options.urls], _access(options)
    check_one_host(access, addresses)
    daemon = ReceiverDaemon(
        addresses,
        options.folder,
        ModelDecoders.load(options.model, max_pixels=options.max_pixels),
        render=options.render,
        every=options.every,
        terms=Terms(window=options.window),
        on_picture=log,
        access=access,
        most_bytes=options.most,
        most_pictures=options.most_pictures,
    )

    stay(daemon.run())


def _view(options: argparse.Namespace) -> int:
    from diffc_stream.diffusion.collection import Collection
    from diffc_viewer import Assets, Site

    from .web.app import View

    view = View(
        Address.parse(options.url),
        Site(Assets(Collection.at_hand(options.model).files)),
        port=options.port,
        rate=options.rate,
        compare=options.compare,
        max_pixels=options.max_pixels,
        access=_access(options),
    )

    async def until_told() -> None:
        stopped = asyncio.Event()
        on_stop(stopped.set)
        async with view:
            facts = {"url": view.url, "sender": options.url}
            print(json.dumps(facts) if options.json else f"look at {view.url}", flush=True)
            if options.browser:
                # Some browsers come back only when they are closed.
                threading.Thread(target=webbrowser.open, args=(view.url,), daemon=True).start()
            await stopped.wait()

    asyncio.run(until_told())
    return 0


def _access(options: argparse.Namespace) -> Access:
    return access_from(options.token_file, options.ca, exposed=options.insecure)


@contextlib.contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Callable[[Refinement], None]]:
    """Show how it goes, to people: nothing moves in a log file."""
    began = time.monotonic()

    def describe(refinement: Refinement) -> tuple[str, float | None]:
        text = _summary(refinement.bytes, refinement.bpp, refinement.predicted_psnr)
        rate = refinement.bytes / max(time.monotonic() - began, 1e-3)
        return f"{text}, {rate:,.0f} bytes/s", _share(refinement, options)

    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield lambda _: None
        return
    from .cli import terminal
    from .cli.display import Display

    if options.picture == "auto":
        how = terminal.told(os.environ, sys.stderr.encoding)
    elif options.picture == "off":
        how = None
    else:
        how = terminal.capability(options.picture, os.environ)
    with Display(sys.stderr, how, describe) as display:
        yield display.show


def _share(refinement: Refinement, options: argparse.Namespace) -> float | None:
    """Return how much of what is wanted is there, 0 to 1; None if nobody knows."""
    shares = [
        value / wanted
        for value, wanted in (
            (refinement.bytes, options.bytes),
            (refinement.bpp, options.bpp),
            (refinement.predicted_psnr, options.psnr),
        )
        if value is not None and wanted is not None
    ]
    return max(shares, default=None)


def _summary(nbytes: int, bpp: float, predicted_psnr: float | None) -> str:
    text = f"{nbytes:,} bytes, {bpp:.4g} bpp"
    return text if predicted_psnr is None else f"{text}, about {predicted_psnr:.1f} dB"


def _failed(message: str, code: int) -> int:
    print(f"diffc-client: {message}", file=sys.stderr)
    return code


def configuration() -> Configuration:
    """Return what there is to be told to the commands that stay up, and where."""
    return _parser()[1]


def _parser() -> tuple[argparse.ArgumentParser, Configuration]:
    parser = argparse.ArgumentParser(
        prog="diffc-client",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    get = commands.add_parser(
        "get",
        help="fetch one picture",
        description=GET_DESCRIPTION,
        epilog=GET_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    get.set_defaults(command=_get)
    get.add_argument("url", metavar="URL", help="ws://HOST:PORT/IMAGE or http://HOST/IMAGE.dfc")
    get.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        type=Path,
        required=True,
        help=f"picture to write: {', '.join(FORMATS)}, or a PNG where there is no suffix, as to a "
        "device or a pipe; - is standard output",
    )
    add_quality(get)
    get.add_argument(
        "--bytes", metavar="N", type=integer(1, MAX_STREAM), help="stop after so many bytes"
    )
    get.add_argument("--bpp", metavar="X", type=number(MAX_BPP), help="... or bits per pixel")
    get.add_argument(
        "--side",
        metavar="PIXELS",
        type=integer(1, MAX_SIDE),
        help="... or all that a longer side of so many needs",
    )
    get.add_argument(
        "--psnr", metavar="DB", type=number(MAX_PSNR), help="... or when so good, as predicted"
    )
    get.add_argument(
        "--keep-stream", metavar="FILE.dfc", type=Path, help="keep the stream; continue one"
    )
    get.add_argument(
        "--no-cache",
        action="store_true",
        help="neither use nor remember what was received of this picture before "
        "(in $DIFFC_CACHE, else in ~/.cache/diffc-stream)",
    )
    get.add_argument(
        "--patience",
        metavar="SECONDS",
        type=number(LONGEST),
        default=60.0,
        help="give up a broken link after so long without a byte (%(default)g)",
    )
    get.add_argument("--json", action="store_true", help="print one JSON object when done")
    get.add_argument(
        "--picture",
        choices=["auto", "kitty", "iterm", "blocks", "off"],
        default="auto",
        help="how the terminal shows it as it gets better: by its own graphics, as half blocks in "
        "colours, or not at all (%(default)s: as the environment says; NO_COLOR is off)",
    )
    _add_common(get)
    listing = commands.add_parser(
        "list",
        help="show what a sender has",
        description="Show what a sender has: bytes of each file, when it was changed (UTC), its "
        "thumbprint (another one is another picture), and the name to ask for.",
    )
    listing.set_defaults(command=_list)
    listing.add_argument("url", metavar="URL", help="ws://HOST:PORT")
    listing.add_argument("--json", action="store_true", help="a JSON object per picture")
    _add_access(listing)
    run = commands.add_parser(
        "run",
        help="stay up and keep what senders have",
        description=RUN_DESCRIPTION,
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.set_defaults(command=_run)
    run.add_argument(
        "urls",
        metavar="URL",
        nargs="+",
        help="ws://HOST:PORT or one with /IMAGE, or http://HOST/IMAGE.dfc",
    )
    run.add_argument("folder", metavar="DIR", type=Path, help="where pictures and streams go")
    run.add_argument(
        "--every",
        metavar="SECONDS",
        type=number(LONGEST),
        default=60.0,
        help="how often catalogues are asked for (%(default)g)",
    )
    mirroring.add_limits(run)
    _add_common(run)
    add_configuration(run)
    add_logging(run)
    mirror = mirroring.add_to(commands, _add_common)
    add_configuration(mirror)
    add_logging(mirror)
    _add_view(commands)
    staying = {"run": run, "mirror": mirror}
    return parser, Configuration("DIFFC_CLIENT", staying)


def _add_view(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    view = commands.add_parser(
        "view",
        help="look at a sender's pictures in a browser",
        description=VIEW_DESCRIPTION,
        epilog=VIEW_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    view.set_defaults(command=_view)
    view.add_argument("url", metavar="URL", help="ws://HOST:PORT or one with /IMAGE")
    view.add_argument(
        "--port",
        type=integer(0, 65_535),
        default=0,
        help="port of this machine to serve the page on; 0 is any free one (%(default)s)",
    )
    view.add_argument(
        "--rate",
        metavar="BYTES",
        type=number(1e9),
        help="carry only so many bytes a second, as if the link were thin",
    )
    view.add_argument(
        "--compare",
        action="store_true",
        help="offer the sender's AVIF and JPEG of the same bytes, if it makes them; they cross the "
        "link too, and --rate does not slow them",
    )
    view.add_argument(
        "--no-browser", dest="browser", action="store_false", help="do not open a browser"
    )
    view.add_argument("--json", action="store_true", help="print the address as a JSON object")
    add_max_pixels(view)
    view.add_argument(
        "--model", metavar="FILE", type=Path, help="a model beside those that diffc models lists"
    )
    _add_access(view)


def _add_access(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("senders that want a token, or have TLS")
    group.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="the token to show, or lines of HOST TOKEN (else the one in $DIFFC_TOKEN)",
    )
    group.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="authorities to believe who somebody is, PEM (else $DIFFC_CA, else the system's)",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="show the token on ws:// and http:// too, where others may read it on the way",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_rendering(parser)
    add_max_pixels(parser)
    parser.add_argument(
        "--model", metavar="FILE", type=Path, help="a model beside those that diffc models lists"
    )
    parser.add_argument(
        "--window",
        metavar="BYTES",
        type=integer(MIN_WINDOW, MAX_WINDOW),
        default=Terms().window,
        help="most bytes under way; on slow links it is fewer anyway, and more pay off where rate "
        "times round trip exceeds half of that (%(default)s)",
    )
    _add_access(parser)
